#include "db/postgres_connection.h"

#include <poll.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "core/text.h"
#include "db/errors.h"

namespace loquat::db {
namespace {

constexpr std::size_t most_prepared = 256;

std::string words_of(PGconn* connection) { return std::string(text::trim_ascii(PQerrorMessage(connection))); }

}  // namespace

PostgresConnection::PostgresConnection(Settings settings) : settings_(std::move(settings)) {
  connect();
  configure();
}

void PostgresConnection::fail_lost(PostgresFailure::Kind kind, const std::string& detail) {
  broken_ = true;
  timed_out_ = timed_out_ || kind == PostgresFailure::Kind::timed_out;
  const bool outcome_unknown = may_write_ && !in_transaction_ && sent_ > 0;
  if (outcome_unknown) {
    throw OutcomeUnknown(Code::unavailable, "the database is not available, try again later", "outcome unknown: " + detail);
  }
  throw PostgresFailure(kind, detail);
}

void PostgresConnection::wait(bool reading, bool writing, Clock::time_point deadline) {
  pollfd entry{PQsocket(connection_.get()), 0, 0};
  if (entry.fd < 0) fail_lost(PostgresFailure::Kind::lost, "the connection is closed");
  if (reading) entry.events |= POLLIN;
  if (writing) entry.events |= POLLOUT;
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) fail_lost(PostgresFailure::Kind::timed_out, "the server did not answer in time");
    const int ready = ::poll(&entry, 1, static_cast<int>(std::min<std::int64_t>(left, 60'000)));
    if (ready > 0) return;
    if (ready < 0 && errno != EINTR) fail_lost(PostgresFailure::Kind::lost, std::strerror(errno));
  }
}

// The name look-up inside PQconnectStart blocks; everything after it has our deadline.
void PostgresConnection::connect() {
  const auto hosts = 1 + std::ranges::count(settings_.uri.substr(0, settings_.uri.find('?')), ',');
  // Of several hosts the first may be one that swallows packets: the others must get their turn.
  const auto host_limit = std::to_string(hosts > 1 ? settings_.connect_timeout.count() : 0);
  // What stands before dbname the URI may override.
  const std::array<const char*, 7> names = {
      "fallback_application_name", "keepalives_idle", "keepalives_interval", "tcp_user_timeout", "dbname", "client_encoding", nullptr};
  const std::array<const char*, 7> values = {"loquat", "30", "10", host_limit.c_str(), settings_.uri.c_str(), "UTF8", nullptr};
  connection_.reset(PQconnectStartParams(names.data(), values.data(), 1));
  if (!connection_) throw std::bad_alloc();
  const auto deadline = Clock::now() + settings_.connect_timeout * hosts;
  if (PQstatus(connection_.get()) == CONNECTION_BAD) fail_lost(PostgresFailure::Kind::lost, words_of(connection_.get()));
  for (auto step = PGRES_POLLING_WRITING; step != PGRES_POLLING_OK; step = PQconnectPoll(connection_.get())) {
    if (step == PGRES_POLLING_FAILED) fail_lost(PostgresFailure::Kind::lost, words_of(connection_.get()));
    wait(step == PGRES_POLLING_READING, step == PGRES_POLLING_WRITING, deadline);
  }
  if (PQsetnonblocking(connection_.get(), 1) != 0) fail_lost(PostgresFailure::Kind::lost, words_of(connection_.get()));
  PQsetNoticeReceiver(connection_.get(), &PostgresConnection::on_notice, this);
}

void PostgresConnection::configure() {
  const auto limit = std::to_string(settings_.statement_timeout.count());
  const auto idle = std::to_string((settings_.statement_timeout * 2 + std::chrono::seconds(10)).count());
  simple(
      "SET client_min_messages = warning; SET TimeZone = 'UTC'; SET DateStyle = 'ISO'; SET bytea_output = 'hex'; SET jit = off;"
      "SET statement_timeout = " +
      limit + "; SET idle_in_transaction_session_timeout = " + idle);
}

// A server that shuts down says so to idle connections too; only then it closes them.
void PostgresConnection::on_notice(void* self, const PGresult* notice) {
  const char* state = PQresultErrorField(notice, PG_DIAG_SQLSTATE);
  if (state != nullptr && std::string_view(state).starts_with("57P")) static_cast<PostgresConnection*>(self)->broken_ = true;
}

bool PostgresConnection::is_stale() noexcept {
  if (broken_ || PQstatus(connection_.get()) != CONNECTION_OK) return true;
  pollfd entry{PQsocket(connection_.get()), POLLIN, 0};
  while (::poll(&entry, 1, 0) > 0) {
    // Something came unasked: a notice, a changed setting, or the end.
    if (PQconsumeInput(connection_.get()) == 0) return true;
    static_cast<void>(PQisBusy(connection_.get()));  // reads what has come
    if (broken_ || PQstatus(connection_.get()) != CONNECTION_OK) return true;
  }
  return false;
}

void PostgresConnection::probe(std::chrono::milliseconds limit) {
  start_job(false, false);
  const auto usual = std::exchange(settings_.statement_timeout, limit);
  query("SELECT 1", {});
  settings_.statement_timeout = usual;
}

std::string PostgresConnection::setting(std::string_view name) {
  return query("SELECT current_setting($1)", {std::string(name)})->text(0, 0);
}

void PostgresConnection::require(int sent) {
  if (sent == 0) fail_lost(PostgresFailure::Kind::lost, words_of(connection_.get()));
}

void PostgresConnection::flush(Clock::time_point deadline) {
  for (;;) {
    const int left = PQflush(connection_.get());
    if (left == 0) return;
    if (left < 0) fail_lost(PostgresFailure::Kind::lost, words_of(connection_.get()));
    // The server may wait for us to read before it reads on.
    wait(true, true, deadline);
    require(PQconsumeInput(connection_.get()));
  }
}

PostgresResult PostgresConnection::next_result(Clock::time_point deadline) {
  while (PQisBusy(connection_.get()) != 0) {
    wait(true, false, deadline);
    require(PQconsumeInput(connection_.get()));
  }
  return PostgresResult(PQgetResult(connection_.get()));
}

/// Throws for what the server refused.
void PostgresConnection::check(const PGresult* result) {
  const auto status = PQresultStatus(result);
  if (status != PGRES_FATAL_ERROR && status != PGRES_BAD_RESPONSE) return;
  const char* field = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  const std::string_view state = field == nullptr ? "" : field;
  const char* primary = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
  std::string detail = primary == nullptr ? words_of(connection_.get()) : std::string(state) + ": " + primary;
  // What stands in the way of a change of tables. Other classes' details may be of what people wrote.
  const char* more = PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL);
  if (more != nullptr && (state.starts_with("0A") || state.starts_with("2B"))) detail += std::string(" (") + more + ")";
  if (PQstatus(connection_.get()) != CONNECTION_OK || state.empty() || state.starts_with("57P") || state.starts_with("08")) {
    fail_lost(PostgresFailure::Kind::lost, detail);
  }
  if (state == "23505" || state == "23P01") throw Error(Code::conflict, "that exists already", detail);
  // 54: a value too long for an index.
  if (state.starts_with("22") || state.starts_with("23") || state.starts_with("54")) {
    throw Error(Code::invalid, "the database refuses these values", detail);
  }
  const bool plan_out_of_date = state == "26000" || (state == "0A000" && detail.contains("cached plan"));
  const bool again = state == "40001" || state == "40P01" || plan_out_of_date;
  if (plan_out_of_date) broken_ = true;  // its prepared statements are of no use any more
  throw PostgresFailure(again ? PostgresFailure::Kind::retryable : PostgresFailure::Kind::statement, detail);
}

void PostgresConnection::send_begin() {
  begin_pending_ = false;
  require(PQsendQueryParams(connection_.get(), "BEGIN", 0, nullptr, nullptr, nullptr, nullptr, 0));
}

/// Reads the answers to `count` statements and the sync after them; throws the first error, after all were read.
std::vector<PostgresResult> PostgresConnection::collect(std::size_t count, Clock::time_point deadline) {
  std::vector<PostgresResult> results;
  results.reserve(count);
  while (results.size() < count) {
    auto result = next_result(deadline);
    if (!result) {
      if (PQstatus(connection_.get()) != CONNECTION_OK) fail_lost(PostgresFailure::Kind::lost, words_of(connection_.get()));
      continue;  // the end of one statement's results
    }
    // A connection that broke gives one error result, then nothing.
    if (PQstatus(connection_.get()) != CONNECTION_OK) {
      const char* primary = PQresultErrorField(result.get(), PG_DIAG_MESSAGE_PRIMARY);
      fail_lost(PostgresFailure::Kind::lost, primary != nullptr ? primary : words_of(connection_.get()));
    }
    results.push_back(std::move(result));
  }
  for (;;) {
    const auto result = next_result(deadline);
    if (!result) {
      if (PQstatus(connection_.get()) != CONNECTION_OK) fail_lost(PostgresFailure::Kind::lost, words_of(connection_.get()));
      continue;
    }
    if (PQresultStatus(result.get()) == PGRES_PIPELINE_SYNC) break;
    if (PQstatus(connection_.get()) != CONNECTION_OK) fail_lost(PostgresFailure::Kind::lost, words_of(connection_.get()));
  }
  if (PQexitPipelineMode(connection_.get()) == 0) fail_lost(PostgresFailure::Kind::lost, words_of(connection_.get()));
  for (const auto& result : results) check(result.get());
  return results;
}

void PostgresConnection::forget_least_used() {
  const auto victim = prepared_.find(by_use_.back());
  const std::string name = victim->second.name;
  by_use_.pop_back();
  prepared_.erase(victim);
  require(PQsendQueryParams(connection_.get(), ("DEALLOCATE " + name).c_str(), 0, nullptr, nullptr, nullptr, nullptr, 0));
}

/// Prepares the texts that are new to this connection, in one round trip.
void PostgresConnection::prepare(std::span<const Item> items) {
  struct New {
    std::string text;
    std::string name;
  };
  std::vector<New> missing;
  for (const auto& item : items) {
    if (const auto found = prepared_.find(item.sql); found != prepared_.end()) {
      by_use_.splice(by_use_.begin(), by_use_, found->second.position);
    } else if (std::ranges::find(missing, item.sql, &New::text) == missing.end()) {
      missing.push_back({std::string(item.sql), "s" + std::to_string(next_name_++)});
    }
  }
  if (missing.empty()) return;
  const auto deadline = statement_deadline();
  require(PQenterPipelineMode(connection_.get()));
  std::size_t others = 0;
  if (begin_pending_) {
    send_begin();
    ++others;
  }
  while (!prepared_.empty() && prepared_.size() + missing.size() > most_prepared && by_use_.size() > items.size()) {
    forget_least_used();
    ++others;
  }
  for (const auto& one : missing) {
    require(PQsendPrepare(connection_.get(), one.name.c_str(), one.text.c_str(), 0, nullptr));
    require(PQsendDescribePrepared(connection_.get(), one.name.c_str()));
  }
  require(PQpipelineSync(connection_.get()));
  flush(deadline);
  const auto results = collect(others + missing.size() * 2, deadline);
  for (std::size_t i = 0; i < missing.size(); ++i) {
    by_use_.push_front(missing[i].text);
    prepared_.emplace(missing[i].text, Prepared{missing[i].name, read_statement_types(results[others + i * 2 + 1].get()), by_use_.begin()});
  }
}

std::vector<PostgresResult> PostgresConnection::execute(std::span<const Item> items) {
  if (items.empty()) return {};
  prepare(items);
  // Everything is encoded before anything is sent: a value that does not fit must not leave half a pipeline behind.
  std::vector<Parameters> parameters;
  std::vector<const Prepared*> statements;
  parameters.reserve(items.size());
  statements.reserve(items.size());
  for (const auto& item : items) {
    const auto& prepared = prepared_.find(item.sql)->second;
    parameters.emplace_back(*item.parameters, prepared.types.parameters);
    statements.push_back(&prepared);
  }
  const auto deadline = statement_deadline();
  require(PQenterPipelineMode(connection_.get()));
  const std::size_t others = begin_pending_ ? 1 : 0;
  if (begin_pending_) send_begin();
  for (std::size_t i = 0; i < items.size(); ++i) {
    const auto& values = parameters[i];
    require(PQsendQueryPrepared(connection_.get(), statements[i]->name.c_str(), values.count(), values.values(), values.lengths(),
                                values.formats(), statements[i]->types.binary_result ? 1 : 0));
  }
  require(PQpipelineSync(connection_.get()));
  sent_ += items.size();
  flush(deadline);
  auto results = collect(others + items.size(), deadline);
  results.erase(results.begin(), results.begin() + static_cast<std::ptrdiff_t>(others));
  return results;
}

Result PostgresConnection::query(std::string_view sql, Values parameters) {
  const Item item{sql, &parameters};
  return make_postgres_rows(std::move(execute({&item, 1}).front()));
}

std::vector<std::int64_t> PostgresConnection::batch(std::string_view sql, std::vector<Values> parameters) {
  std::vector<Item> items;
  items.reserve(parameters.size());
  for (const auto& values : parameters) items.push_back({sql, &values});
  std::vector<std::int64_t> counts;
  counts.reserve(items.size());
  for (auto& result : execute(items)) counts.push_back(make_postgres_rows(std::move(result))->affected());
  return counts;
}

std::vector<Result> PostgresConnection::pipeline(std::vector<Statement> statements) {
  std::vector<Item> items;
  items.reserve(statements.size());
  for (const auto& statement : statements) items.push_back({statement.sql, &statement.parameters});
  std::vector<Result> results;
  results.reserve(items.size());
  for (auto& result : execute(items)) results.push_back(make_postgres_rows(std::move(result)));
  return results;
}

PostgresResult PostgresConnection::simple(const std::string& sql) {
  const auto deadline = statement_deadline();
  require(PQsendQuery(connection_.get(), sql.c_str()));
  flush(deadline);
  PostgresResult last;
  PostgresResult failed;
  while (auto result = next_result(deadline)) {
    if (PQresultStatus(result.get()) == PGRES_FATAL_ERROR)
      failed = std::move(result);
    else
      last = std::move(result);
  }
  if (failed) check(failed.get());
  if (PQstatus(connection_.get()) != CONNECTION_OK) fail_lost(PostgresFailure::Kind::lost, words_of(connection_.get()));
  return last;
}

void PostgresConnection::script(std::string_view sql) {
  if (begin_pending_) {
    begin_pending_ = false;
    simple("BEGIN");
  }
  ++sent_;
  simple(std::string(sql));
}

void PostgresConnection::start_job(bool transaction, bool may_write) {
  begin_pending_ = transaction;
  in_transaction_ = transaction;
  may_write_ = may_write;
  sent_ = 0;
}

void PostgresConnection::commit() {
  if (!in_transaction_) return;
  if (begin_pending_) {
    begin_pending_ = in_transaction_ = false;
    return;
  }
  in_transaction_ = false;  // from here on a lost connection leaves the outcome unknown
  const auto result = simple("COMMIT");
  if (std::string_view(PQcmdStatus(result.get())) != "COMMIT") throw away("the transaction had failed and was rolled back");
}

void PostgresConnection::rollback() noexcept {
  const bool open = in_transaction_ && !begin_pending_;
  begin_pending_ = in_transaction_ = false;
  may_write_ = false;
  if (!open || broken_) return;
  try {
    simple("ROLLBACK");
  } catch (...) {
    broken_ = true;
  }
}

}  // namespace loquat::db
