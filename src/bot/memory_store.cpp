#include "bot/memory_store.h"

#include <algorithm>
#include <ranges>

#include "core/error.h"
#include "core/id.h"

namespace loquat::bot {
namespace {

void require_version(std::int64_t current, std::optional<std::int64_t> wanted) {
  if (wanted && *wanted != current) throw Error(Code::precondition_failed, "the document was changed in the meantime");
}

}  // namespace

asio::awaitable<std::int64_t> MemoryStore::active_version() {
  const std::lock_guard lock(mutex_);
  co_return active_;
}

asio::awaitable<std::optional<Definition>> MemoryStore::load_version(std::int64_t version) {
  const std::lock_guard lock(mutex_);
  const auto found = std::ranges::find(versions_, version, [](const Published& item) { return item.summary.version; });
  co_return found == versions_.end() ? std::nullopt : std::optional(found->definition);
}

asio::awaitable<std::int64_t> MemoryStore::publish(std::string built_by, std::function<void(const Definition&)> check) {
  const std::lock_guard lock(mutex_);
  if (check) check(to_definition(draft_));
  co_return insert_version(std::move(built_by));
}

std::int64_t MemoryStore::insert_version(std::string built_by) {
  Published next{{static_cast<std::int64_t>(versions_.size()) + 1, now(), false, std::move(built_by), draft_.intents.size(),
                  draft_.entities.size(), 0},
                 to_definition(draft_)};
  for (const auto& document : draft_.intents) next.summary.examples += count_examples(document.body);
  active_ = next.definition.version = next.summary.version;
  versions_.push_back(std::move(next));
  return active_;
}

asio::awaitable<std::vector<VersionSummary>> MemoryStore::versions() {
  const std::lock_guard lock(mutex_);
  std::vector<VersionSummary> out;
  for (const auto& item : std::views::reverse(versions_)) {
    out.push_back(item.summary);
    out.back().active = item.summary.version == active_;
  }
  co_return out;
}

asio::awaitable<void> MemoryStore::activate(std::int64_t version) {
  const std::lock_guard lock(mutex_);
  if (version < 1 || version > static_cast<std::int64_t>(versions_.size())) throw Error(Code::not_found, "Version not found");
  active_ = version;
  co_return;
}

asio::awaitable<void> MemoryStore::ensure_default() {
  const std::lock_guard lock(mutex_);
  if (active_ != 0) co_return;
  const auto defaults = default_definition();
  if (config_version_ == 0) {
    draft_.config = defaults.config.raw;
    config_version_ = 1;
  }
  if (draft_.intents.empty()) {
    auto changes = apply_export(draft_, to_export_file(defaults), {});
    for (auto& document : changes.intents) document.version = 1;
    draft_ = merge(std::move(draft_), changes);
  }
  insert_version("start");
}

asio::awaitable<Store::Imported> MemoryStore::import(Definition definition) { return import_file(to_export_text(definition), {}); }

asio::awaitable<Definition> MemoryStore::draft() {
  const std::lock_guard lock(mutex_);
  co_return to_definition(draft_);
}

asio::awaitable<void> MemoryStore::ping() { co_return; }

asio::awaitable<std::vector<Document>> MemoryStore::list(Kind kind) {
  const std::lock_guard lock(mutex_);
  co_return documents(kind);
}

asio::awaitable<std::optional<Document>> MemoryStore::find(Kind kind, std::string id) {
  const std::lock_guard lock(mutex_);
  const auto& list = documents(kind);
  const auto found = std::ranges::find(list, id, &Document::id);
  co_return found == list.end() ? std::nullopt : std::optional(*found);
}

asio::awaitable<Document> MemoryStore::create(Kind kind, json::object body) {
  const std::lock_guard lock(mutex_);
  ++draft_.revision;
  documents(kind).push_back({make_object_id(), 1, std::move(body)});
  co_return documents(kind).back();
}

asio::awaitable<Document> MemoryStore::update(Kind kind, std::string id, Change change, std::optional<std::int64_t> if_version) {
  const std::lock_guard lock(mutex_);
  auto& list = documents(kind);
  const auto found = std::ranges::find(list, id, &Document::id);
  if (found == list.end()) throw Error(Code::not_found, not_found_message(kind));
  require_version(found->version, if_version);
  auto body = found->body;
  change(body);
  found->body = std::move(body);
  ++found->version;
  ++draft_.revision;
  co_return *found;
}

asio::awaitable<bool> MemoryStore::remove(Kind kind, std::string id, std::optional<std::int64_t> if_version) {
  const std::lock_guard lock(mutex_);
  auto& list = documents(kind);
  const auto found = std::ranges::find(list, id, &Document::id);
  if (found == list.end()) co_return false;
  require_version(found->version, if_version);
  list.erase(found);
  ++draft_.revision;
  co_return true;
}

asio::awaitable<std::optional<AdminStore::StoredConfig>> MemoryStore::find_config(std::string bot) {
  const std::lock_guard lock(mutex_);
  if (bot != "default" || config_version_ == 0) co_return std::nullopt;
  co_return StoredConfig{config_version_, draft_.config};
}

asio::awaitable<std::optional<AdminStore::StoredConfig>> MemoryStore::update_config(std::string bot, Change change,
                                                                                    std::optional<std::int64_t> if_version) {
  const std::lock_guard lock(mutex_);
  if (bot != "default" || config_version_ == 0) co_return std::nullopt;
  require_version(config_version_, if_version);
  auto config = draft_.config;
  change(config);
  draft_.config = std::move(config);
  ++draft_.revision;
  co_return StoredConfig{++config_version_, draft_.config};
}

asio::awaitable<Draft> MemoryStore::load_draft() {
  const std::lock_guard lock(mutex_);
  co_return draft_;
}

asio::awaitable<Store::Imported> MemoryStore::import_file(std::string text, json::array loc) {
  const std::lock_guard lock(mutex_);
  auto changes = apply_export(draft_, parse_export_file(text, loc), loc);
  for (auto* list : {&changes.intents, &changes.entities}) {
    for (auto& document : *list) ++document.version;
  }
  ++draft_.revision;
  draft_ = merge(std::move(draft_), changes);
  co_return changes.counts;
}

asio::awaitable<BuildStatus> MemoryStore::build_status() {
  const std::lock_guard lock(mutex_);
  co_return status_;
}

asio::awaitable<void> MemoryStore::set_build_status(BuildStatus status) {
  const std::lock_guard lock(mutex_);
  status.changed_at = now();
  status_ = std::move(status);
  co_return;
}

}  // namespace loquat::bot
