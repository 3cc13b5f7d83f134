#include "db/postgres_listener.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>

#include "core/log.h"
#include "db/errors.h"
#include "db/postgres_connection.h"

namespace loquat::db {
namespace {

constexpr int check_every_ms = 15'000;  // an idle connection that a firewall dropped looks like one without news

std::string quote(PGconn* connection, const std::string& name) {
  const std::unique_ptr<char, decltype(&PQfreemem)> quoted(PQescapeIdentifier(connection, name.data(), name.size()), PQfreemem);
  if (!quoted) throw away("a channel's name that cannot be quoted");
  return quoted.get();
}

}  // namespace

PostgresListener::PostgresListener(Settings settings, OnNotification on_notification, OnConnect on_connect)
    : settings_(std::move(settings)), on_notification_(std::move(on_notification)), on_connect_(std::move(on_connect)) {
  auto url = parse_url(settings_.url);
  if (url.kind != Url::Kind::postgres) throw Error(Code::invalid, "notifications need PostgreSQL");
  uri_ = std::move(url.target);
  wake_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  thread_ = std::thread([this] { work(); });
}

PostgresListener::~PostgresListener() {
  stopping_ = true;
  const std::uint64_t one = 1;
  if (::write(wake_, &one, sizeof one) != sizeof one) log::warning("db", "the listener could not be woken");
  thread_.join();
  ::close(wake_);
}

void PostgresListener::work() {
  while (!stopping_) {
    try {
      listen();
    } catch (const Error& error) {
      log::debug("db", "the connection for notifications is away; it is tried again", {{"detail", error.log_detail()}});
    } catch (const std::exception& error) {
      log::error("db", "a listener's function failed", {{"error", error.what()}});
    }
    pollfd wake{wake_, POLLIN, 0};
    if (!stopping_) ::poll(&wake, 1, static_cast<int>(settings_.retry_after.count()));
  }
}

void PostgresListener::listen() {
  PostgresConnection connection({uri_, settings_.connect_timeout, settings_.connect_timeout});
  connection.start_job(false, false);
  for (const auto& channel : settings_.channels) connection.script("LISTEN " + quote(connection.handle(), channel));
  if (on_connect_) on_connect_();
  while (!stopping_) {
    while (PGnotify* raw = PQnotifies(connection.handle())) {
      const std::unique_ptr<PGnotify, decltype(&PQfreemem)> notification(raw, PQfreemem);
      on_notification_(notification->relname, notification->extra);
    }
    std::array<pollfd, 2> entries = {{{PQsocket(connection.handle()), POLLIN, 0}, {wake_, POLLIN, 0}}};
    const int ready = ::poll(entries.data(), entries.size(), check_every_ms);
    if (stopping_) return;
    if (ready == 0) connection.query("SELECT 1", {});
    if (entries[0].revents != 0 && connection.is_stale()) throw away("the connection for notifications was lost");
  }
}

}  // namespace loquat::db
