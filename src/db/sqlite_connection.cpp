#include "db/sqlite_connection.h"

#include <fcntl.h>
#include <unistd.h>

#include <charconv>
#include <filesystem>
#include <thread>

#include "db/errors.h"
#include "db/sqlite_rows.h"

namespace loquat::db {
namespace {

constexpr std::size_t most_prepared = 256;
constexpr int operations_between_checks = 100'000;

// Directories and files that we make hold people's conversations: for the owner only. Existing ones stay as they are.
void make_private_file(const std::filesystem::path& path) {
  const auto parent = path.parent_path();
  std::vector<std::filesystem::path> made;
  std::error_code error;
  for (auto step = parent; !step.empty() && !std::filesystem::exists(step, error); step = step.parent_path()) made.push_back(step);
  for (auto step = made.rbegin(); step != made.rend(); ++step) {
    if (std::filesystem::create_directory(*step, error)) {
      std::filesystem::permissions(*step, std::filesystem::perms::owner_all, error);
    }
  }
  // O_EXCL, because closing another descriptor of a file that is in use would drop SQLite's locks on it.
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file >= 0) ::close(file);
}

struct Reset {
  sqlite3_stmt* statement;
  ~Reset() {
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
  }
};

struct Binder {
  sqlite3_stmt* statement;
  int index;
  int operator()(std::monostate) const { return sqlite3_bind_null(statement, index); }
  int operator()(bool flag) const { return sqlite3_bind_int(statement, index, flag ? 1 : 0); }
  int operator()(std::int64_t number) const { return sqlite3_bind_int64(statement, index, number); }
  int operator()(double number) const { return sqlite3_bind_double(statement, index, number); }
  int operator()(const std::string& text) const {
    return sqlite3_bind_text64(statement, index, text.data(), text.size(), SQLITE_STATIC, SQLITE_UTF8);
  }
  int operator()(const Bytes& bytes) const {
    return sqlite3_bind_blob64(statement, index, bytes.data.data(), bytes.data.size(), SQLITE_STATIC);
  }
  int operator()(Time time) const { return sqlite3_bind_int64(statement, index, to_microseconds(time)); }
  template <class T>
  int operator()(const std::vector<T>& /*items*/) const {
    throw away("arrays are parameters on PostgreSQL only");
  }
};

}  // namespace

SqliteConnection::SqliteConnection(Settings settings) : settings_(std::move(settings)), timeout_(settings_.timeout) {
  open_file();
  configure();
}

SqliteConnection::~SqliteConnection() { prepared_.clear(); }

void SqliteConnection::open_file() {
  if (settings_.path != ":memory:") make_private_file(settings_.path);
  sqlite3* raw = nullptr;
  const int code = sqlite3_open_v2(settings_.path.c_str(), &raw, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
  database_.reset(raw);
  if (code != SQLITE_OK) throw away(std::string(raw != nullptr ? sqlite3_errmsg(raw) : sqlite3_errstr(code)) + ": " + settings_.path);
  sqlite3_extended_result_codes(raw, 1);
  sqlite3_busy_timeout(raw, static_cast<int>(settings_.timeout.count()));
  sqlite3_progress_handler(raw, operations_between_checks, &SqliteConnection::on_progress, this);
}

void SqliteConnection::configure() {
  if (settings_.path != ":memory:") {
    // Turning WAL on may answer "busy" at once while another process does the same.
    for (int attempt = 1;; ++attempt) {
      try {
        script("PRAGMA journal_mode=WAL");
        break;
      } catch (const Error&) {
        if (attempt == 20) throw;
        std::this_thread::sleep_for(std::chrono::milliseconds(10 * attempt));
      }
    }
  }
  broken_ = false;
  script(settings_.synchronous_full ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL");
  // Checkpoints happen off the commit path (sqlite.cpp).
  script("PRAGMA wal_autocheckpoint=0; PRAGMA journal_size_limit=67108864; PRAGMA foreign_keys=ON; PRAGMA temp_store=MEMORY");
  script(settings_.read_only ? "PRAGMA query_only=ON; PRAGMA cache_size=-2000" : "PRAGMA cache_size=-8000");
}

int SqliteConnection::on_progress(void* self) {
  return std::chrono::steady_clock::now() > static_cast<SqliteConnection*>(self)->deadline_ ? 1 : 0;
}

void SqliteConnection::fail(int code) {
  const int extended = sqlite3_extended_errcode(database_.get());
  const std::string detail = sqlite3_errmsg(database_.get());
  switch (extended) {
    case SQLITE_CONSTRAINT_UNIQUE:
    case SQLITE_CONSTRAINT_PRIMARYKEY:
    case SQLITE_CONSTRAINT_ROWID: throw Error(Code::conflict, "that exists already", detail);
    default: break;
  }
  switch (code & 0xFF) {
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
    case SQLITE_TOOBIG: throw Error(Code::invalid, "the database refuses these values", detail);
    case SQLITE_IOERR:
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_CANTOPEN:
    case SQLITE_PROTOCOL: broken_ = settings_.path != ":memory:"; break;
    default: break;
  }
  throw away(detail + " (SQLite " + std::to_string(extended) + "): " + settings_.path);
}

SqliteConnection::Prepared& SqliteConnection::prepare(std::string_view sql) {
  if (const auto found = prepared_.find(sql); found != prepared_.end()) return found->second;
  if (prepared_.size() >= most_prepared) prepared_.clear();
  sqlite3_stmt* raw = nullptr;
  const int code = sqlite3_prepare_v3(database_.get(), sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT, &raw, nullptr);
  Prepared prepared;
  prepared.statement.reset(raw);
  if (code != SQLITE_OK) fail(code);
  if (raw == nullptr) throw away("an empty statement");
  const int count = sqlite3_bind_parameter_count(raw);
  for (int index = 1; index <= count; ++index) {
    // SQLite takes "$1::uuid" as the parameter's whole name: so one text with casts serves both dialects.
    const char* name = sqlite3_bind_parameter_name(raw, index);
    std::size_t number = 0;
    if (name != nullptr && name[0] == '$') std::from_chars(name + 1, name + std::char_traits<char>::length(name), number);
    if (number == 0) throw away("parameters are written $1, $2, ...: " + std::string(sql));
    prepared.numbers.push_back(number);
  }
  return prepared_.emplace(std::string(sql), std::move(prepared)).first->second;
}

void SqliteConnection::bind(const Prepared& prepared, const Values& parameters) {
  int index = 0;
  for (const auto number : prepared.numbers) {
    ++index;
    if (number > parameters.size()) throw away("a parameter is missing");
    const int code = std::visit(Binder{prepared.statement.get(), index}, parameters[number - 1]);
    if (code != SQLITE_OK) fail(code);
  }
}

Result SqliteConnection::run(std::string_view sql, const Values& parameters) {
  auto& prepared = prepare(sql);
  auto* statement = prepared.statement.get();
  const Reset reset{statement};
  bind(prepared, parameters);
  deadline_ = std::chrono::steady_clock::now() + timeout_;
  auto rows = std::make_unique<SqliteRows>(sqlite3_column_count(statement));
  int code = sqlite3_step(statement);
  for (; code == SQLITE_ROW; code = sqlite3_step(statement)) rows->add(statement);
  if (code != SQLITE_DONE) fail(code);
  if (sqlite3_stmt_readonly(statement) == 0) rows->set_affected(sqlite3_changes64(database_.get()));
  return rows;
}

Result SqliteConnection::query(std::string_view sql, Values parameters) { return run(sql, parameters); }

std::vector<std::int64_t> SqliteConnection::batch(std::string_view sql, std::vector<Values> parameters) {
  std::vector<std::int64_t> counts;
  counts.reserve(parameters.size());
  for (const auto& values : parameters) counts.push_back(run(sql, values)->affected());
  return counts;
}

std::vector<Result> SqliteConnection::pipeline(std::vector<Statement> statements) {
  const bool own = !in_transaction();
  if (own) execute("BEGIN");
  try {
    std::vector<Result> results;
    results.reserve(statements.size());
    for (const auto& statement : statements) results.push_back(run(statement.sql, statement.parameters));
    if (own) commit();
    return results;
  } catch (...) {
    if (own) rollback();
    throw;
  }
}

void SqliteConnection::script(std::string_view sql) {
  deadline_ = std::chrono::steady_clock::now() + timeout_;
  const int code = sqlite3_exec(database_.get(), std::string(sql).c_str(), nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) fail(code);
}

void SqliteConnection::execute(std::string_view sql) { run(sql, {}); }

void SqliteConnection::rollback() noexcept {
  if (!in_transaction()) return;
  try {
    execute("ROLLBACK");
  } catch (...) {
    broken_ = settings_.path != ":memory:";
  }
}

}  // namespace loquat::db
