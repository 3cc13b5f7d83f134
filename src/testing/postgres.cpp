#include "testing/postgres.h"

#include <arpa/inet.h>
#include <libpq-fe.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <random>
#include <stdexcept>
#include <thread>
#include <vector>

#include "testing/freeze.h"

namespace loquat::testing {
namespace {

namespace fs = std::filesystem;

std::string find_programs() {
  if (const char* path = std::getenv("LOQUAT_POSTGRES_BIN")) return path;
  std::string best;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator("/usr/lib/postgresql", error)) {
    if (fs::exists(entry.path() / "bin/initdb") && entry.path().string() > best) best = entry.path().string();
  }
  return best.empty() ? best : best + "/bin";
}

// Below the ports that the kernel gives to outgoing connections: a server that restarts finds its port free, even when clients have tried
// to connect to it all the while (such a connection can get the very port it connects to, and then it reaches itself).
int free_port() {
  std::mt19937 random(std::random_device{}());
  std::uniform_int_distribution<std::uint16_t> ports(10'000, 31'999);
  for (int tries = 0; tries < 1000; ++tries) {
    const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(ports(random));
    const bool is_free = ::bind(socket, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    ::close(socket);
    if (is_free) return ntohs(address.sin_port);
  }
  throw std::runtime_error("no free port");
}

// PostgreSQL refuses to run as root.
void become_postgres() {
  if (::getuid() != 0) return;
  const passwd* user = ::getpwnam("postgres");
  if (user == nullptr || ::setgid(user->pw_gid) != 0 || ::setuid(user->pw_uid) != 0) ::_exit(126);
}

pid_t spawn(const std::vector<std::string>& command, const std::string& log) {
  const pid_t child = ::fork();
  if (child != 0) return child;
  become_postgres();
  ::setpgid(0, 0);
  // A test program that dies takes its server with it.
  ::prctl(PR_SET_PDEATHSIG, SIGINT);
  if (std::freopen(log.c_str(), "a", stdout) == nullptr || std::freopen(log.c_str(), "a", stderr) == nullptr) ::_exit(125);
  if (::chdir("/") != 0) ::_exit(125);
  std::vector<char*> arguments;
  arguments.reserve(command.size() + 1);
  for (const auto& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  ::execv(arguments[0], arguments.data());
  ::_exit(127);
}

int run(const std::vector<std::string>& command, const std::string& log) {
  int status = 0;
  ::waitpid(spawn(command, log), &status, 0);
  return status;
}

std::string read_file(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::atomic<int> next_database = 1;

std::string make_name() { return "t" + std::to_string(::getpid()) + "_" + std::to_string(next_database++); }

std::string run_sql(const std::string& url, const std::string& text) {
  const std::unique_ptr<PGconn, void (*)(PGconn*)> connection(PQconnectdb(url.c_str()), PQfinish);
  if (PQstatus(connection.get()) != CONNECTION_OK) throw std::runtime_error(PQerrorMessage(connection.get()));
  const std::unique_ptr<PGresult, void (*)(PGresult*)> result(PQexec(connection.get(), text.c_str()), PQclear);
  const auto status = PQresultStatus(result.get());
  if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) throw std::runtime_error(PQerrorMessage(connection.get()));
  return PQntuples(result.get()) > 0 ? PQgetvalue(result.get(), 0, 0) : "";
}

}  // namespace

std::unique_ptr<PostgresServer> PostgresServer::start() {
  const auto programs = find_programs();
  if (programs.empty()) return nullptr;
  std::unique_ptr<PostgresServer> server(new PostgresServer());
  server->programs_ = programs;
  std::string name = (fs::temp_directory_path() / "loquat-pg-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary directory");
  server->directory_ = name;
  fs::permissions(name, fs::perms::all);
  const auto log = name + "/log";
  std::ofstream(log).close();
  fs::permissions(log, fs::perms::all);
  const int status =
      run({programs + "/initdb", "-D", name + "/data", "-U", "postgres", "-A", "trust", "--no-sync", "--no-locale", "-E", "UTF8"}, log);
  if (status != 0) throw std::runtime_error("initdb failed: " + read_file(log));
  std::ofstream(name + "/data/postgresql.auto.conf", std::ios::app)
      << "max_connections = 100\nshared_buffers = 32MB\nmax_prepared_transactions = 0\nlogging_collector = off\n";
  server->port_ = free_port();
  server->launch();
  return server;
}

void PostgresServer::launch() {
  process_ = spawn({programs_ + "/postgres", "-D", directory_ + "/data", "-p", std::to_string(port_), "-k", directory_, "-h", "127.0.0.1"},
                   directory_ + "/log");
  for (int i = 0; i < 300; ++i) {
    if (PQping(url().c_str()) == PQPING_OK) return;
    if (::waitpid(process_, nullptr, WNOHANG) != 0) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  throw std::runtime_error("PostgreSQL did not start: " + read_file(directory_ + "/log"));
}

PostgresServer::~PostgresServer() {
  try {
    thaw();
    stop();
  } catch (...) {
    ::kill(process_, SIGKILL);
  }
  std::error_code ignored;
  fs::remove_all(directory_, ignored);
}

std::string PostgresServer::url(const std::string& database) const {
  return "postgresql://postgres@127.0.0.1:" + std::to_string(port_) + "/" + database;
}

std::string PostgresServer::make_database() {
  const auto name = make_name();
  run_sql(url(), "CREATE DATABASE " + name);
  return url(name);
}

std::string PostgresServer::sql(const std::string& database, const std::string& text) const { return run_sql(url(database), text); }

void PostgresServer::stop() {
  if (process_ == 0) return;
  ::kill(process_, SIGINT);
  ::waitpid(process_, nullptr, 0);
  process_ = 0;
}

void PostgresServer::resume() {
  if (process_ == 0) launch();
}

// The server's own children: found by their parent, so that nobody else's processes are touched.
void PostgresServer::for_each_process(const std::function<void(pid_t)>& use) const {
  if (process_ == 0) return;
  use(process_);
  std::error_code error;
  for (const auto& entry : fs::directory_iterator("/proc", error)) {
    const int child = std::atoi(entry.path().filename().c_str());
    if (child == 0) continue;
    const auto stat = read_file((entry.path() / "stat").string());
    const auto end = stat.rfind(')');
    if (end == std::string::npos || end + 4 >= stat.size()) continue;
    if (std::atoi(stat.c_str() + end + 4) == process_) use(child);
  }
}

void PostgresServer::freeze() { for_each_process(freeze_process); }
void PostgresServer::thaw() {
  for_each_process([](pid_t process) { ::kill(process, SIGCONT); });
}

bool in_ci() {
  const char* value = std::getenv("CI");
  return value != nullptr && std::string(value) == "true";
}

PostgresServer* shared_postgres() {
  static const std::unique_ptr<PostgresServer> server = PostgresServer::start();
  return server.get();
}

std::optional<std::string> make_postgres_url() {
  if (const char* given = std::getenv("LOQUAT_TEST_POSTGRES"); given != nullptr && *given != '\0') {
    const auto name = make_name();
    run_sql(given, "DROP DATABASE IF EXISTS " + name);
    run_sql(given, "CREATE DATABASE " + name);
    std::string url = given;
    const auto question = url.find('?');
    const std::string query = question == std::string::npos ? "" : url.substr(question);
    url.resize(std::min(question, url.size()));
    const auto slash = url.find('/', url.find("://") + 3);
    return url.substr(0, slash) + "/" + name + query;
  }
  auto* server = shared_postgres();
  if (server == nullptr) return std::nullopt;
  return server->make_database();
}

}  // namespace loquat::testing
