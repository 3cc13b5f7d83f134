#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstddef>
#include <functional>

#include "bot/admin_store.h"
#include "bot/build.h"
#include "bot/store.h"
#include "http/router.h"
#include "state/store.h"

/// The admin's HTTP API of a bot: the routes of the old backend, byte for byte where a client can tell, and what is new
/// beside them. Everything given by reference must outlive the router.
namespace loquat::bot {

/// /, and the web widget's script.
void add_public_routes(http::Router& router);
/// /admin/intents and /admin/entities.
void add_document_routes(http::Router& router, AdminStore& admin);
/// /admin/bots/{name}: config, export, import, versions. `import_limit` in bytes.
void add_bot_routes(http::Router& router, Store& store, AdminStore& admin, const Builder& builder, std::size_t import_limit);
/// /admin/train and /admin/nlu/status.
void add_train_routes(http::Router& router, Store& store, AdminStore& admin, Builder& builder, std::size_t import_limit);

/// Erases a person's conversation everywhere; true when there was one.
using EraseThread = std::function<asio::awaitable<bool>(state::ThreadQuery)>;
/// /admin/chatlogs, /admin/chatlog-search, /admin/chatlog-export. Without `erase` only the states are erased.
void add_chatlog_routes(http::Router& router, state::Store& states, AdminStore& admin, EraseThread erase = {});

/// The text of ui/widget/script.js.
[[nodiscard]] std::string_view widget_script();

}  // namespace loquat::bot
