#include "db/mongo.h"

#include <mongoc/mongoc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <mutex>
#include <tuple>

#include "core/error.h"
#include "core/log.h"
#include "core/text.h"
#include "db/bson.h"
#include "db/errors.h"
#include "db/mongo_collection.h"

namespace loquat::db {
namespace {

struct FreeUri {
  void operator()(mongoc_uri_t* uri) const noexcept { mongoc_uri_destroy(uri); }
};
using Uri = std::unique_ptr<mongoc_uri_t, FreeUri>;

/// The library writes to stderr by itself otherwise.
void forward_log(mongoc_log_level_t level, const char* domain, const char* message, void* /*none*/) {
  if (level <= MONGOC_LOG_LEVEL_MESSAGE) log::debug("db", message, {{"library", "libmongoc"}, {"domain", domain}});
}

// The library initializes itself when it is loaded, whether it is used or not: it puts its counters into /dev/shm/mongoc-PID, where a
// killed process leaves them, and warns on stderr when a file of that name is there. Only a .preinit_array comes before that.
[[gnu::section(".preinit_array"), gnu::used, gnu::retain]] void (*const silence)() = [] { mongoc_log_set_handler(nullptr, nullptr); };

[[gnu::constructor]] void leave_no_counters() { shm_unlink(("/mongoc-" + std::to_string(getpid())).c_str()); }

void initialize() {
  static std::once_flag once;
  std::call_once(once, [] {
    mongoc_log_set_handler(forward_log, nullptr);
    mongoc_init();
  });
}

void set_default(mongoc_uri_t* uri, const char* option, std::int64_t value) {
  if (!mongoc_uri_has_option(uri, option)) mongoc_uri_set_option_as_int32(uri, option, static_cast<std::int32_t>(value));
}

void set_write_concern(mongoc_uri_t* uri) {
  if (mongoc_uri_has_option(uri, MONGOC_URI_W) || mongoc_uri_has_option(uri, MONGOC_URI_JOURNAL)) return;
  mongoc_write_concern_t* concern = mongoc_write_concern_new();
  mongoc_write_concern_set_wmajority(concern, 0);
  mongoc_write_concern_set_journal(concern, true);
  mongoc_uri_set_write_concern(uri, concern);
  mongoc_write_concern_destroy(concern);
}

Uri make_uri(const MongoSettings& settings) {
  initialize();
  bson_error_t error;
  Uri uri(mongoc_uri_new_with_error(settings.uri.c_str(), &error));
  // The library's words name an option's value.
  if (!uri && text::to_lower_ascii(error.message).contains(MONGOC_URI_AUTHMECHANISMPROPERTIES))
    throw Error(Code::invalid, "not a MongoDB URI: authMechanismProperties cannot be read");
  if (!uri) throw Error(Code::invalid, std::string("not a MongoDB URI: ") + error.message);
  set_default(uri.get(), MONGOC_URI_MAXPOOLSIZE, static_cast<std::int64_t>(settings.max_pool_size));
  set_default(uri.get(), MONGOC_URI_WAITQUEUETIMEOUTMS, settings.pool_timeout.count());
  set_default(uri.get(), MONGOC_URI_SERVERSELECTIONTIMEOUTMS, settings.server_timeout.count());
  set_default(uri.get(), MONGOC_URI_CONNECTTIMEOUTMS, settings.server_timeout.count());
  set_default(uri.get(), MONGOC_URI_SOCKETTIMEOUTMS, settings.socket_timeout.count());
  set_write_concern(uri.get());
  return uri;
}

std::string choose_database(const MongoSettings& settings, const mongoc_uri_t* uri) {
  if (!settings.database.empty()) return settings.database;
  const char* named = mongoc_uri_get_database(uri);
  return named == nullptr || *named == '\0' ? "chatbot" : named;
}

}  // namespace

struct MongoPool::State {
  explicit State(const MongoSettings& settings) : uri(make_uri(settings)), database(choose_database(settings, uri.get())) {}
  ~State() {
    if (clients != nullptr) mongoc_client_pool_destroy(clients);
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  /// Made on first use: a mongodb+srv URI asks the DNS for it, which may be away at start.
  mongoc_client_pool_t* pool() {
    const std::lock_guard lock(mutex);
    if (clients != nullptr) return clients;
    bson_error_t error;
    clients = mongoc_client_pool_new_with_error(uri.get(), &error);
    if (clients == nullptr) throw away(error.message);
    mongoc_client_pool_set_error_api(clients, MONGOC_ERROR_API_VERSION_2);
    mongoc_client_pool_set_appname(clients, "loquat");
    return clients;
  }

  Uri uri;
  std::string database;
  std::mutex mutex;
  mongoc_client_pool_t* clients = nullptr;
};

MongoPool::Lease::Lease(State& state) : state_(state), client_(mongoc_client_pool_pop(state.pool())) {
  if (client_ == nullptr) throw away("no client of the MongoDB pool became free in time");
}

MongoPool::Lease::~Lease() { mongoc_client_pool_push(state_.pool(), client_); }

MongoSession MongoPool::Lease::session() const { return {*client_, state_.database}; }

MongoPool::MongoPool(MongoSettings settings) : state_(std::make_shared<State>(settings)) {
  const auto most = mongoc_uri_get_option_as_int32(state_->uri.get(), MONGOC_URI_MAXPOOLSIZE, 100);
  async::Pool::Settings threads;
  threads.name = settings.name;
  threads.most = static_cast<std::size_t>(std::max(most, 1));
  threads.kept = std::min<std::size_t>(threads.most, 2);
  threads.wait_limit = settings.pool_timeout;
  threads_ = std::make_unique<async::Pool>(std::move(threads));
}

MongoPool::~MongoPool() { close(); }

asio::awaitable<void> MongoPool::ping(std::string_view collection) {
  co_await run([name = std::string(collection)](MongoSession& session) {
    std::ignore = MongoCollection(session, name).find_one(std::move(Bson().add_null("_id")));
  });
}

const std::string& MongoPool::database() const noexcept { return state_->database; }

void MongoPool::close() { threads_->close(); }

}  // namespace loquat::db
