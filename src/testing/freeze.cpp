#include "testing/freeze.h"

#include <signal.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

namespace loquat::testing {
namespace {

namespace fs = std::filesystem;

/// Of a thread that is gone: true.
bool is_still(const fs::path& thread) {
  std::ifstream stream(thread / "stat");
  std::string stat;
  std::getline(stream, stat);
  const auto end = stat.rfind(')');
  return end == std::string::npos || end + 2 >= stat.size() || std::string("TtZX").contains(stat[end + 2]);
}

bool is_still(pid_t process) {
  std::error_code error;
  for (const auto& thread : fs::directory_iterator("/proc/" + std::to_string(process) + "/task", error)) {
    if (!is_still(thread.path())) return false;
  }
  return true;
}

}  // namespace

void freeze_process(pid_t process) {
  if (::kill(process, SIGSTOP) != 0) return;
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!is_still(process) && std::chrono::steady_clock::now() < end) std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

}  // namespace loquat::testing
