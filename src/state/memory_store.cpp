#include "state/memory_store.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <ranges>
#include <unordered_map>

#include "core/error.h"
#include "state/cursor.h"
#include "state/rules.h"

namespace loquat::state {
namespace {

struct Conversation {
  std::vector<State> rows;    ///< by version
  std::uint64_t written = 0;  ///< order of the newest row's arrival
};

class MemoryStore final : public Store {
 public:
  asio::awaitable<Appended> append(State state, std::optional<std::int64_t> expected) override {
    co_return append_now(std::move(state), expected);
  }
  asio::awaitable<std::optional<State>> find_latest(const chat::ConversationId& id) override { co_return latest_of(id); }
  asio::awaitable<std::optional<State>> find_latest(const ThreadQuery& query) override { co_return latest_by(query); }
  asio::awaitable<std::optional<State>> find_by_message_id(const MessageId& id) override { co_return by_id(id); }
  asio::awaitable<HistoryPage> history(const ThreadQuery& query, std::size_t limit, std::optional<std::string> before) override {
    co_return history_now(query, limit, before);
  }
  asio::awaitable<ThreadsPage> threads(std::size_t page, std::size_t limit, std::optional<Time> start, std::optional<Time> end) override {
    co_return threads_now(page, limit, start, end);
  }
  asio::awaitable<HistoryPage> search(const SearchQuery& query) override { co_return search_now(query); }
  asio::awaitable<void> redact(const chat::ConversationId& conversation, const MessageId& id) override {
    redact_now(conversation, id);
    co_return;
  }
  asio::awaitable<bool> erase(const ThreadQuery& query) override { co_return erase_now(query); }
  asio::awaitable<std::size_t> delete_older(std::chrono::hours age, std::chrono::hours dedup_age, std::size_t limit) override {
    co_return delete_now(now() - std::max(age, dedup_age), limit);
  }
  asio::awaitable<void> ping() override { co_return; }

 private:
  using Map = std::map<chat::ConversationId, Conversation>;

  const State* find_id(const MessageId& id) const {
    const auto found = ids_.find(id);
    if (found == ids_.end()) return nullptr;
    const auto& rows = conversations_.at(found->second).rows;
    const auto row = std::ranges::find(rows, std::optional(id), &State::message_id);
    return row == rows.end() ? nullptr : &*row;
  }

  static bool fits(const chat::ConversationId& id, const ThreadQuery& query) {
    return id.thread_id == query.thread_id && (!query.channel || id.channel == *query.channel) &&
           (!query.account || id.account == *query.account);
  }

  /// The conversation written last that is not erased.
  const Conversation* choose(const ThreadQuery& query) const {
    const Conversation* best = nullptr;
    for (const auto& [id, conversation] : conversations_) {
      if (!fits(id, query) || conversation.rows.back().erased) continue;
      if (best == nullptr || conversation.written > best->written) best = &conversation;
    }
    return best;
  }

  Appended append_now(State state, std::optional<std::int64_t> expected) {
    const std::lock_guard lock(mutex_);
    if (const auto* known = state.message_id ? find_id(*state.message_id) : nullptr) {
      if (known->conversation != state.conversation) throw foreign_message_id();
      return {*known, true};
    }
    const auto found = conversations_.find(state.conversation);
    const auto* newest = found == conversations_.end() ? nullptr : &found->second.rows.back();
    const auto version = newest == nullptr ? 0 : newest->version;
    if (!may_append(expected, version, newest != nullptr && newest->erased)) throw moved_on(version);
    state.version = version + 1;
    if (state.message_id) ids_.emplace(*state.message_id, state.conversation);
    auto& conversation = conversations_[state.conversation];
    conversation.rows.push_back(state);
    conversation.written = ++clock_;
    return {std::move(state), false};
  }

  std::optional<State> latest_of(const chat::ConversationId& id) const {
    const std::lock_guard lock(mutex_);
    const auto found = conversations_.find(id);
    return found == conversations_.end() ? std::nullopt : std::optional(found->second.rows.back());
  }

  std::optional<State> latest_by(const ThreadQuery& query) const {
    const std::lock_guard lock(mutex_);
    const auto* chosen = choose(query);
    return chosen == nullptr ? std::nullopt : std::optional(chosen->rows.back());
  }

  std::optional<State> by_id(const MessageId& id) const {
    const std::lock_guard lock(mutex_);
    const auto* found = find_id(id);
    return found == nullptr ? std::nullopt : std::optional(*found);
  }

  HistoryPage history_now(const ThreadQuery& query, std::size_t limit, const std::optional<std::string>& before) const {
    std::optional<HistoryCursor> cursor;
    if (before) cursor = parse_history_cursor(*before, query.thread_id);
    const std::lock_guard lock(mutex_);
    HistoryPage page;
    const Conversation* chosen = nullptr;
    if (!cursor || cursor->conversation.thread_id.empty()) {
      chosen = choose(query);
    } else if (const auto found = conversations_.find(cursor->conversation); found != conversations_.end()) {
      chosen = &found->second;
    }
    if (chosen == nullptr) return page;
    for (const auto& row : chosen->rows | std::views::reverse) {
      if (row.erased || (cursor && row.version >= cursor->version)) continue;
      if (page.items.size() == limit) {
        page.next = to_text(HistoryCursor{row.conversation, page.items.back().version});
        break;
      }
      page.items.push_back(row);
    }
    return page;
  }

  ThreadsPage threads_now(std::size_t page, std::size_t limit, std::optional<Time> start, std::optional<Time> end) const {
    const std::lock_guard lock(mutex_);
    std::map<std::string, ThreadSummary> by_thread;
    for (const auto& [id, conversation] : conversations_) {
      for (const auto& row : conversation.rows) {
        if (row.erased || (start && row.date < *start) || (end && row.date > *end)) continue;
        auto& summary = by_thread.try_emplace(id.thread_id, id.thread_id, row.date, row.version).first->second;
        if (row.date >= summary.date) summary = {id.thread_id, row.date, row.version};
      }
    }
    std::vector<ThreadSummary> sorted;
    sorted.reserve(by_thread.size());
    for (auto& [thread, summary] : by_thread) sorted.push_back(std::move(summary));
    std::ranges::sort(sorted, [](const auto& a, const auto& b) { return a.date != b.date ? a.date > b.date : a.thread_id < b.thread_id; });
    ThreadsPage out;
    out.total = static_cast<std::int64_t>(sorted.size());
    const auto first = std::min((page - 1) * limit, sorted.size());
    const auto last = std::min(first + limit, sorted.size());
    for (std::size_t i = first; i < last; ++i) out.items.push_back(std::move(sorted[i]));
    return out;
  }

  HistoryPage search_now(const SearchQuery& query) const {
    std::optional<SearchCursor> cursor;
    if (query.before) cursor = parse_search_cursor(*query.before);
    const auto order = [](const SearchCursor& c) { return std::tie(c.date, c.conversation, c.version); };
    std::vector<const State*> found;
    const std::lock_guard lock(mutex_);
    for (const auto& [id, conversation] : conversations_) {
      for (const auto& row : conversation.rows) {
        const auto place = cursor_of(row);
        if (matches(row, query) && (!cursor || order(place) < order(*cursor))) found.push_back(&row);
      }
    }
    std::ranges::sort(found, [&](const State* a, const State* b) {
      const auto left = cursor_of(*a);
      const auto right = cursor_of(*b);
      return order(left) > order(right);
    });
    HistoryPage page;
    for (std::size_t i = 0; i < std::min(found.size(), query.limit); ++i) page.items.push_back(*found[i]);
    if (found.size() > query.limit && !page.items.empty()) page.next = to_text(cursor_of(page.items.back()));
    return page;
  }

  void redact_now(const chat::ConversationId& conversation, const MessageId& id) {
    const std::lock_guard lock(mutex_);
    const auto found = conversations_.find(conversation);
    if (found == conversations_.end()) return;
    auto& rows = found->second.rows;
    auto row = std::ranges::find_if(rows, [&id](const State& s) { return s.message_id == id && !s.erased; });
    if (row == rows.end()) return;
    const auto attachments = redact_state(*row);
    for (++row; !attachments.is_null() && row != rows.end() && redact_context(row->context, attachments);) ++row;
  }

  bool erase_now(const ThreadQuery& query) {
    const std::lock_guard lock(mutex_);
    bool any = false;
    for (auto& [id, conversation] : conversations_) {
      if (!fits(id, query) || conversation.rows.back().erased) continue;
      for (auto& row : conversation.rows) {
        auto emptied = make_tombstone(id, row.version);
        emptied.message_id = row.message_id;
        emptied.date = row.date;
        row = std::move(emptied);
      }
      conversation.rows.push_back(make_tombstone(id, conversation.rows.back().version + 1));
      any = true;
    }
    return any;
  }

  std::size_t delete_now(Time before, std::size_t limit) {
    const std::lock_guard lock(mutex_);
    std::size_t count = 0;
    for (auto& [id, conversation] : conversations_) {
      auto& rows = conversation.rows;
      const auto newest = rows.back().version;
      std::erase_if(rows, [&](const State& row) {
        if (count == limit || row.version == newest || row.date >= before) return false;
        if (row.message_id) ids_.erase(*row.message_id);
        ++count;
        return true;
      });
    }
    return count;
  }

  mutable std::mutex mutex_;
  Map conversations_;
  std::unordered_map<MessageId, chat::ConversationId> ids_;
  std::uint64_t clock_ = 0;
};

}  // namespace

std::unique_ptr<Store> make_memory_store() { return std::make_unique<MemoryStore>(); }

}  // namespace loquat::state
