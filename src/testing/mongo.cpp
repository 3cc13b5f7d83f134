#include "testing/mongo.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <charconv>
#include <cstdlib>
#include <stdexcept>
#include <vector>

#include "testing/freeze.h"

namespace loquat::testing {
namespace {

constexpr const char* sources = LOQUAT_MONGO_SOURCES;
constexpr const char* built = LOQUAT_MONGO_BUILD;
constexpr int start_deadline_ms = 60'000;

bool build() {
  const std::string command = std::string("command -v java javac mvn >/dev/null 2>&1 && '") + sources + "/build.sh' '" + built + "' >&2";
  return std::system(command.c_str()) == 0;
}

std::vector<char*> pointers_to(std::vector<std::string>& words) {
  std::vector<char*> out;
  out.reserve(words.size() + 1);
  for (auto& word : words) out.push_back(word.data());
  out.push_back(nullptr);
  return out;
}

/// The first line that the server writes.
std::string read_line(int descriptor) {
  std::string line;
  char c = 0;
  for (;;) {
    pollfd waiting{descriptor, POLLIN, 0};
    if (::poll(&waiting, 1, start_deadline_ms) <= 0 || ::read(descriptor, &c, 1) != 1) return {};
    if (c == '\n') return line;
    line += c;
  }
}

}  // namespace

std::unique_ptr<MongoServer> MongoServer::start() { return start(Options()); }

std::unique_ptr<MongoServer> MongoServer::start(Options options) {
  static const bool ready = build();
  if (!ready) return nullptr;
  std::unique_ptr<MongoServer> server(new MongoServer());
  server->options_ = std::move(options);
  server->launch();
  return server;
}

void MongoServer::launch() {
  std::vector<std::string> words = {"java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
                                    "-Dorg.slf4j.simpleLogger.defaultLogLevel=off"};
  if (options_.oplog) words.emplace_back("-Doplog=true");
  if (!options_.file.empty()) words.push_back("-Dfile=" + options_.file);
  if (!options_.user.empty()) {
    words.push_back("-Duser=" + options_.user);
    words.push_back("-Dpassword=" + options_.password);
  }
  words.insert(words.end(), {"-cp", std::string(built) + "/classes:" + built + "/lib/*", "TestMongo", std::to_string(port_)});
  const auto arguments = pointers_to(words);
  std::array<int, 2> pipe{};
  if (::pipe2(pipe.data(), O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
  process_ = ::fork();
  if (process_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::dup2(pipe[1], STDOUT_FILENO);
    ::execvp(arguments.front(), arguments.data());
    ::_exit(127);
  }
  ::close(pipe[1]);
  const auto line = read_line(pipe[0]);
  ::close(pipe[0]);
  const auto colon = line.rfind(':');
  if (!line.starts_with("ready ") || colon == std::string::npos) throw std::runtime_error("the MongoDB test server did not start: " + line);
  std::from_chars(line.data() + colon + 1, line.data() + line.size(), port_);
}

MongoServer::~MongoServer() { stop(); }

void MongoServer::stop() {
  if (process_ <= 0) return;
  ::kill(process_, SIGKILL);
  ::waitpid(process_, nullptr, 0);
  process_ = 0;
}

void MongoServer::resume() { launch(); }
void MongoServer::freeze() { freeze_process(process_); }
void MongoServer::thaw() { ::kill(process_, SIGCONT); }

namespace {

std::string make_name() {
  static std::atomic<int> next = 0;
  return "loquat_test_" + std::to_string(::getpid()) + "_" + std::to_string(++next);
}

}  // namespace

std::string MongoServer::make_uri() const { return address() + "/" + make_name(); }

std::optional<std::string> make_mongo_uri() {
  if (const char* uri = std::getenv("LOQUAT_TEST_MONGODB_URI"); uri != nullptr && *uri != '\0') {
    std::string text(uri);
    while (text.ends_with('/')) text.pop_back();
    return text + "/" + make_name();
  }
  static const auto server = MongoServer::start();
  return server ? std::optional(server->make_uri()) : std::nullopt;
}

}  // namespace loquat::testing
