#include "messenger/sandbox_secret.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <string_view>

#include "core/error.h"
#include "core/id.h"
#include "core/text.h"

namespace loquat::messenger {
namespace {

constexpr std::string_view file_name = "sandbox-secret";
constexpr std::size_t secret_bytes = 32;

bool is_secret(std::string_view text) noexcept {
  return text.size() == 2 * secret_bytes &&
         std::ranges::all_of(text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

[[noreturn]] void fail(const std::string& what, int number) {
  throw Error(Code::unavailable, "the sandbox's secret cannot be written", what + ": " + std::strerror(number));
}

/// Writes a new file whole and to the disk.
void write_file(const std::filesystem::path& path, std::string_view content) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
  if (file < 0) fail("open " + path.string(), errno);
  const auto written = ::write(file, content.data(), content.size());
  const bool complete = written == static_cast<ssize_t>(content.size()) && ::fsync(file) == 0;
  const int number = errno;
  ::close(file);
  if (complete) return;
  ::unlink(path.c_str());
  fail("write " + path.string(), number);
}

}  // namespace

std::optional<std::string> find_sandbox_secret(const std::filesystem::path& data_dir) {
  const auto path = data_dir / file_name;
  std::ifstream file(path);
  if (!file) return std::nullopt;
  std::string text;
  std::getline(file, text);
  const auto secret = text::trim_ascii(text);
  if (!is_secret(secret)) throw Error(Code::invalid, "the file " + path.string() + " holds no secret: delete it and start Loquat again");
  return std::string(secret);
}

std::string get_or_make_sandbox_secret(const std::filesystem::path& data_dir) {
  const auto path = data_dir / file_name;
  if (auto secret = find_sandbox_secret(data_dir)) {
    ::chmod(path.c_str(), S_IRUSR | S_IWUSR);  // one that was copied may have come with wider rights
    return *secret;
  }
  std::error_code failure;
  std::filesystem::create_directories(data_dir, failure);
  if (failure) fail("create " + data_dir.string(), failure.value());
  // A link appears whole or not at all, and only for the first who makes it.
  const auto draft = data_dir / (std::string(file_name) + "." + random_hex(8));
  write_file(draft, random_hex(secret_bytes) + "\n");
  const int linked = ::link(draft.c_str(), path.c_str());
  const int number = errno;
  ::unlink(draft.c_str());
  if (linked != 0 && number != EEXIST) fail("link " + path.string(), number);
  auto secret = find_sandbox_secret(data_dir);
  if (!secret) throw Error(Code::unavailable, "the sandbox's secret is gone", path.string());
  return *secret;
}

}  // namespace loquat::messenger
