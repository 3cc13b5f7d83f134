#include "state/mongo_store.h"

#include <algorithm>
#include <limits>
#include <map>
#include <mutex>

#include "core/error.h"
#include "state/cursor.h"
#include "state/mongo_documents.h"
#include "state/rules.h"

// Results of find are named before they are looped over: clang 19 leaks temporaries that a range-for's initializer keeps alive.
// Jobs run on the pool's threads and may outlive a coroutine that is given up: they own what they use.

namespace loquat::state {
namespace {

using chat::ConversationId;
using db::Bson;
using db::MongoCollection;
using db::MongoSession;
using Indexed = std::shared_ptr<std::atomic<bool>>;

/// How often an append starts again because another was faster.
constexpr int append_attempts = 100;
constexpr std::size_t most_rows_searched = 5'000;
constexpr std::int64_t rows_a_batch = 500;

Bson newest_first() { return std::move(Bson().add("version", -1)); }
Bson not_erased() { return std::move(Bson().add("$ne", true)); }

/// Microseconds since 1970 that never stand still nor go back within this process.
std::int64_t next_written() {
  static std::mutex mutex;
  static std::int64_t last = 0;
  const std::lock_guard lock(mutex);
  last = std::max(last + 1, to_microseconds(now()));
  return last;
}

void ensure_indexes(MongoCollection& collection, const Indexed& indexed) {
  if (indexed->load()) return;
  // None of them unique: the old collection's documents could not pass, and _id does it.
  collection.ensure_index("thread_id_1_version_-1", Bson().add("thread_id", 1).add("version", -1), false);
  collection.ensure_index("message_id_1", Bson().add("message_id", 1), false);
  collection.ensure_index("date_-1", Bson().add("date", -1), false);
  indexed->store(true);
}

/// Of the old store's documents of a thread the newest, numbered by its place.
std::optional<State> find_newest_old(MongoCollection& collection, const std::string& thread_id,
                                     const std::optional<ConversationId>& conversation) {
  const auto document = collection.find_one(old_of(thread_id), Bson().add("_id", -1));
  if (!document) return std::nullopt;
  return from_document(*document, collection.count(old_of(thread_id)), conversation);
}

std::optional<State> find_newest(MongoCollection& collection, const ConversationId& conversation) {
  if (const auto document = collection.find_one(ours_of(conversation), newest_first())) return from_document(*document);
  return find_newest_old(collection, conversation.thread_id, conversation);
}

std::optional<State> find_id(MongoCollection& collection, const MessageId& id) {
  const auto document = collection.find_one(Bson().add("message_id", id.to_string()));
  return document ? std::optional(from_document(*document)) : std::nullopt;
}

/// Whether this very write is in the database.
bool is_stored(MongoCollection& collection, const Bson& document) {
  const auto stored = collection.find_one(Bson().add_same("_id", document, "_id"));
  return stored && stored->find_text("token") == document.find_text("token");
}

/// False when somebody else has this version. A write whose outcome is unknown is repeated once: its _id is the same.
bool insert(MongoCollection& collection, const State& state) {
  const auto document = to_document(state, next_written(), random_hex(8));
  for (bool last = false;; last = true) {
    try {
      collection.insert(document);
      return true;
    } catch (const Error& error) {
      if (error.code() == Code::conflict) return last && is_stored(collection, document);
      if (error.code() != Code::unavailable || last) throw;
    }
  }
}

Store::Appended append_state(MongoCollection& collection, State state, std::optional<std::int64_t> expected) {
  for (int attempt = 0; attempt < append_attempts; ++attempt) {
    // In this order: a key that is stored between the two reads makes our version a taken one.
    const auto newest = find_newest(collection, state.conversation);
    if (state.message_id) {
      if (auto known = find_id(collection, *state.message_id)) {
        if (known->conversation != state.conversation) throw foreign_message_id();
        return {std::move(*known), true};
      }
    }
    const auto version = newest ? newest->version : 0;
    if (!may_append(expected, version, newest && newest->erased)) throw moved_on(version);
    state.version = version + 1;
    if (insert(collection, state)) return {std::move(state), false};
  }
  throw Error(Code::unavailable, "the conversation keeps changing, try again later");
}

Bson filter_of(const ThreadQuery& query) {
  Bson filter;
  filter.add("thread_id", query.thread_id).add("version", Bson().add("$gt", 0));
  if (query.channel) filter.add("channel", *query.channel);
  if (query.account) filter.add("account", *query.account);
  return filter;
}

/// Our conversations that fit, the one written last first.
std::vector<ConversationId> find_conversations(MongoCollection& collection, const ThreadQuery& query) {
  const Bson key = std::move(Bson().add("c", "$channel").add("a", "$account"));
  const std::array stages = {Bson(std::move(Bson().add("$match", filter_of(query)))),
                             Bson(std::move(Bson().add("$group", Bson().add("_id", key).add("written", Bson().add("$max", "$written"))))),
                             Bson(std::move(Bson().add("$sort", Bson().add("written", -1))))};
  std::vector<ConversationId> found;
  for (const auto& group : collection.aggregate(stages)) {
    const auto id = group.find_document("_id");
    if (id) found.push_back({id->find_text("c").value_or(""), id->find_text("a").value_or(""), query.thread_id});
  }
  return found;
}

/// The newest row of the conversation written last that is not erased.
std::optional<State> choose(MongoCollection& collection, const ThreadQuery& query) {
  const auto last = collection.find_one(filter_of(query), Bson().add("written", -1));
  if (!last) return find_newest_old(collection, query.thread_id, std::nullopt);
  if (auto state = from_document(*last); !state.erased) {
    if (auto newest = find_newest(collection, state.conversation); newest && !newest->erased) return newest;
  }
  for (const auto& conversation : find_conversations(collection, query)) {
    if (auto newest = find_newest(collection, conversation); newest && !newest->erased) return newest;
  }
  return std::nullopt;
}

/// At most `limit` rows below `version`: ours, then the old store's.
std::vector<State> rows_below(MongoCollection& collection, const ConversationId& conversation, std::int64_t version, std::size_t limit) {
  std::vector<State> rows;
  Bson filter;
  filter.add("thread_id", conversation.thread_id).add("channel", conversation.channel).add("account", conversation.account);
  filter.add("version", Bson().add("$gt", 0).add("$lt", version)).add("erased", not_erased());
  const auto documents = collection.find(filter, {.sort = newest_first(), .limit = static_cast<std::int64_t>(limit)});
  rows.reserve(documents.size());
  for (const auto& document : documents) rows.push_back(from_document(document));
  if (rows.size() == limit) return rows;
  auto number = collection.count(old_of(conversation.thread_id));
  if (number == 0) return rows;
  collection.for_each(old_of(conversation.thread_id), {.sort = Bson().add("_id", -1), .batch = rows_a_batch}, [&](const Bson& document) {
    if (number < version) rows.push_back(from_document(document, number, conversation));
    --number;
    return rows.size() < limit;
  });
  return rows;
}

HistoryPage read_history(MongoCollection& collection, const ThreadQuery& query, std::size_t limit,
                         const std::optional<HistoryCursor>& cursor) {
  HistoryPage page;
  auto conversation = cursor ? cursor->conversation : ConversationId();
  if (conversation.thread_id.empty()) {
    const auto newest = choose(collection, query);
    if (!newest) return page;
    conversation = newest->conversation;
  }
  page.items = rows_below(collection, conversation, cursor ? cursor->version : std::numeric_limits<std::int64_t>::max(), limit + 1);
  if (page.items.size() > limit) {
    page.items.pop_back();
    if (!page.items.empty()) page.next = to_text(HistoryCursor{conversation, page.items.back().version});
  }
  return page;
}

Bson date_range(std::optional<Time> start, std::optional<Time> end) {
  Bson range;
  if (start) range.add("$gte", *start);
  if (end) range.add("$lte", *end);
  return range;
}

ThreadSummary read_summary(const Bson& group) {
  ThreadSummary summary{group.describe("_id"), group.find_time("date").value_or(Time()), 0};
  // A Date has milliseconds only.
  if (const auto exact = group.find_integer("exact")) {
    const auto time = from_microseconds(*exact);
    if (std::chrono::floor<std::chrono::milliseconds>(time) == summary.date) summary.date = time;
  }
  summary.version = group.find_integer("version").value_or(0);
  if (summary.version == 0) summary.version = group.find_integer("rows").value_or(0);
  return summary;
}

ThreadsPage read_threads(MongoCollection& collection, std::size_t page, std::size_t limit, std::optional<Time> start,
                         std::optional<Time> end) {
  Bson filter;
  filter.add("erased", not_erased());
  if (start || end) filter.add("date", date_range(start, end));
  const Bson match = std::move(Bson().add("$match", filter));
  Bson members;
  members.add("_id", "$thread_id")
      .add("date", Bson().add("$max", "$date"))
      .add("exact", Bson().add("$max", "$date_us"))
      .add("version", Bson().add("$max", "$version"))
      .add("rows", Bson().add("$sum", 1));
  const std::array stages = {match, Bson(std::move(Bson().add("$group", members))),
                             Bson(std::move(Bson().add("$sort", Bson().add("date", -1).add("_id", 1)))),
                             Bson(std::move(Bson().add("$skip", (page - 1) * limit))), Bson(std::move(Bson().add("$limit", limit)))};
  const std::array counted = {match, Bson(std::move(Bson().add("$group", Bson().add("_id", "$thread_id")))),
                              Bson(std::move(Bson().add("$count", "total")))};
  ThreadsPage out;
  for (const auto& group : collection.aggregate(stages)) out.items.push_back(read_summary(group));
  const auto total = collection.aggregate(counted);
  if (!total.empty()) out.total = total.front().find_integer("total").value_or(0);
  return out;
}

auto order_of(const SearchCursor& cursor) { return std::tie(cursor.date, cursor.conversation, cursor.version); }

/// Collects the rows of one millisecond, puts them into the search's order and takes those that match.
class Searcher {
 public:
  Searcher(const SearchQuery& query, std::optional<SearchCursor> behind) : query_(query), behind_(std::move(behind)) {}

  /// False when the page is full.
  bool add(State state) {
    if (!same_.empty() &&
        std::chrono::floor<std::chrono::milliseconds>(same_.front().date) != std::chrono::floor<std::chrono::milliseconds>(state.date) &&
        !take_same()) {
      return false;
    }
    same_.push_back(std::move(state));
    return true;
  }
  HistoryPage finish() {
    if (!full_) take_same();
    return std::move(page_);
  }

 private:
  bool take_same() {
    std::ranges::sort(same_, [](const State& a, const State& b) {
      const auto left = cursor_of(a);
      const auto right = cursor_of(b);
      return order_of(left) > order_of(right);
    });
    for (auto& state : same_) {
      const auto place = cursor_of(state);
      if (behind_ && !(order_of(place) < order_of(*behind_))) continue;
      if (matches(state, query_)) {
        if (page_.items.size() == query_.limit) return stop(cursor_of(page_.items.back()));
        page_.items.push_back(std::move(state));
      }
      if (++searched_ >= most_rows_searched) return stop(place);
    }
    same_.clear();
    return true;
  }
  bool stop(const SearchCursor& last) {
    page_.next = to_text(last);
    full_ = true;
    return false;
  }

  const SearchQuery& query_;
  std::optional<SearchCursor> behind_;
  std::vector<State> same_;
  std::size_t searched_ = 0;
  bool full_ = false;
  HistoryPage page_;
};

HistoryPage search_rows(MongoCollection& collection, const SearchQuery& query, const std::optional<SearchCursor>& behind) {
  auto end = query.end_date;
  if (behind && (!end || behind->date < *end)) end = behind->date;
  Bson filter;
  filter.add("erased", not_erased());
  if (query.start_date || end) filter.add("date", date_range(query.start_date, end));
  if (query.channel) filter.add("channel", Bson().add("$in", json::array{json::string(*query.channel), nullptr}));
  Searcher searcher(query, behind);
  collection.for_each(filter, {.sort = Bson().add("date", -1), .batch = rows_a_batch},
                      [&searcher](const Bson& document) { return searcher.add(from_document(document)); });
  return searcher.finish();
}

/// The tombstone first, so that a turn in flight meets it; then the contents go. True when there was something.
bool erase_conversation(MongoCollection& collection, const ConversationId& conversation) {
  bool buried = false;
  std::int64_t version = 0;
  for (int attempt = 0; attempt < append_attempts; ++attempt) {
    const auto newest = collection.find_one(ours_of(conversation), newest_first());
    if (!newest) return false;
    const auto state = from_document(*newest);
    version = state.version;
    if (state.erased) break;
    buried = insert(collection, make_tombstone(conversation, ++version));
    if (buried) break;
  }
  Bson filter;
  filter.add("thread_id", conversation.thread_id).add("channel", conversation.channel).add("account", conversation.account);
  filter.add("version", Bson().add("$gt", 0).add("$lte", version)).add("erased", not_erased());
  const auto empty = make_tombstone(conversation, 0);
  Bson members;
  members.add("user_message", empty.user_message)
      .add("bot_message", empty.bot_message)
      .add("nlu", empty.nlu)
      .add("context", empty.context)
      .add("intent", empty.intent)
      .add("parameters", empty.parameters)
      .add("extracted_parameters", empty.extracted_parameters)
      .add("missing_parameters", empty.missing_parameters)
      .add("complete", false)
      .add_null("current_node")
      .add("erased", true);
  return collection.update_many(filter, Bson().add("$set", members)) > 0 || buried;
}

/// Deletes by date, and keeps every conversation's newest row.
std::size_t delete_rows(MongoCollection& collection, Time before, std::size_t limit) {
  std::map<ConversationId, std::int64_t> newest_version;
  std::map<std::string, std::string> newest_old;
  std::vector<Bson> old_enough;
  const auto is_newest = [&](const Bson& document) {
    const auto conversation = conversation_of(document);
    if (!document.is_null("version")) {
      auto [place, fresh] = newest_version.try_emplace(conversation, 0);
      if (fresh) {
        const auto newest = collection.find_one(ours_of(conversation), newest_first());
        place->second = newest ? newest->find_integer("version").value_or(0) : 0;
      }
      return document.find_integer("version") == place->second;
    }
    auto [place, fresh] = newest_old.try_emplace(conversation.thread_id);
    if (fresh) {
      const auto newest = collection.find_one(old_of(conversation.thread_id), Bson().add("_id", -1));
      place->second = newest ? newest->describe("_id") : std::string();
    }
    return document.describe("_id") == place->second;
  };
  Bson filter;
  filter.add("date", Bson().add("$lt", before));
  collection.for_each(filter, {.sort = Bson().add("date", 1), .batch = rows_a_batch}, [&](const Bson& document) {
    if (!is_newest(document)) old_enough.push_back(std::move(Bson().add_same("_id", document, "_id")));
    return old_enough.size() < limit;
  });
  std::size_t deleted = 0;
  for (const auto& id : old_enough) deleted += static_cast<std::size_t>(collection.remove_one(id));
  return deleted;
}

/// A date that is a text, as other writers store it, is found by no range and is sorted below all Dates. Where it cannot be read the date
/// becomes what it was shown as, and the text is kept.
std::size_t convert_dates(MongoCollection& collection) {
  const auto documents = collection.find(Bson().add("date", Bson().add("$type", "string")), {.limit = rows_a_batch});
  for (const auto& document : documents) {
    const auto date = read_date(document);
    Bson members;
    members.add("date", date).add("date_us", to_microseconds(date));
    if (!document.find_time("date")) members.add_same("date_text", document, "date");
    Bson filter;
    filter.add_same("_id", document, "_id").add_same("date", document, "date");
    collection.update_many(filter, Bson().add("$set", members));
  }
  return documents.size();
}

void redact_row(MongoCollection& collection, const ConversationId& conversation, const MessageId& id) {
  Bson filter;
  filter.add("message_id", id.to_string())
      .add("thread_id", conversation.thread_id)
      .add("channel", conversation.channel)
      .add("account", conversation.account)
      .add("erased", not_erased());
  const auto document = collection.find_one(filter);
  if (!document) return;
  auto state = from_document(*document);
  const auto attachments = redact_state(state);
  collection.update_many(
      filter, Bson().add("$set", Bson().add("user_message", state.user_message).add("nlu", state.nlu).add("context", state.context)));
  if (attachments.is_null()) return;
  const auto rows_of = [&conversation](const auto& version) {
    return std::move(Bson()
                         .add("thread_id", conversation.thread_id)
                         .add("channel", conversation.channel)
                         .add("account", conversation.account)
                         .add("version", version));
  };
  std::vector<State> later;
  collection.for_each(rows_of(Bson().add("$gt", state.version)), {.sort = Bson().add("version", 1), .batch = rows_a_batch},
                      [&](const Bson& next) {
                        later.push_back(from_document(next));
                        return redact_context(later.back().context, attachments);
                      });
  for (const auto& next : later) collection.update_many(rows_of(next.version), Bson().add("$set", Bson().add("context", next.context)));
}

}  // namespace

asio::awaitable<Store::Appended> MongoStore::append(State state, std::optional<std::int64_t> expected_version) {
  co_return co_await pool_.run([indexed = indexed_, state = std::move(state), expected_version](MongoSession& session) {
    MongoCollection collection(session, mongo_collection_name);
    ensure_indexes(collection, indexed);
    return append_state(collection, state, expected_version);
  });
}

asio::awaitable<std::optional<State>> MongoStore::find_latest(const ConversationId& conversation) {
  co_return co_await pool_.run([conversation](MongoSession& session) {
    MongoCollection collection(session, mongo_collection_name);
    return find_newest(collection, conversation);
  });
}

asio::awaitable<std::optional<State>> MongoStore::find_latest(const ThreadQuery& query) {
  co_return co_await pool_.run([query](MongoSession& session) {
    MongoCollection collection(session, mongo_collection_name);
    return choose(collection, query);
  });
}

asio::awaitable<std::optional<State>> MongoStore::find_by_message_id(const MessageId& id) {
  co_return co_await pool_.run([id](MongoSession& session) {
    MongoCollection collection(session, mongo_collection_name);
    return find_id(collection, id);
  });
}

asio::awaitable<HistoryPage> MongoStore::history(const ThreadQuery& query, std::size_t limit, std::optional<std::string> before) {
  std::optional<HistoryCursor> cursor;
  if (before) cursor = parse_history_cursor(*before, query.thread_id);
  co_return co_await pool_.run([query, limit, cursor](MongoSession& session) {
    MongoCollection collection(session, mongo_collection_name);
    return read_history(collection, query, limit, cursor);
  });
}

asio::awaitable<ThreadsPage> MongoStore::threads(std::size_t page, std::size_t limit, std::optional<Time> start, std::optional<Time> end) {
  co_return co_await pool_.run([page, limit, start, end](MongoSession& session) {
    MongoCollection collection(session, mongo_collection_name);
    return read_threads(collection, page, limit, start, end);
  });
}

asio::awaitable<HistoryPage> MongoStore::search(const SearchQuery& query) {
  std::optional<SearchCursor> behind;
  if (query.before) behind = parse_search_cursor(*query.before);
  co_return co_await pool_.run([query, behind](MongoSession& session) {
    MongoCollection collection(session, mongo_collection_name);
    return search_rows(collection, query, behind);
  });
}

asio::awaitable<void> MongoStore::redact(const ConversationId& conversation, const MessageId& id) {
  co_await pool_.run([conversation, id](MongoSession& session) {
    MongoCollection collection(session, mongo_collection_name);
    redact_row(collection, conversation, id);
  });
}

asio::awaitable<bool> MongoStore::erase(const ThreadQuery& query) {
  co_return co_await pool_.run([query](MongoSession& session) {
    MongoCollection collection(session, mongo_collection_name);
    bool any = false;
    for (const auto& conversation : find_conversations(collection, query)) any = erase_conversation(collection, conversation) || any;
    return collection.remove_many(old_of(query.thread_id)) > 0 || any;
  });
}

asio::awaitable<std::size_t> MongoStore::delete_older(std::chrono::hours age, std::chrono::hours dedup_age, std::size_t limit) {
  while (co_await adopt_dates() > 0) {
  }
  co_return co_await pool_.run([before = now() - std::max(age, dedup_age), limit](MongoSession& session) {
    MongoCollection collection(session, mongo_collection_name);
    return delete_rows(collection, before, limit);
  });
}

asio::awaitable<std::size_t> MongoStore::adopt_dates() {
  co_return co_await pool_.run([indexed = indexed_](MongoSession& session) {
    MongoCollection collection(session, mongo_collection_name);
    ensure_indexes(collection, indexed);
    return convert_dates(collection);
  });
}

asio::awaitable<void> MongoStore::ping() { co_await pool_.ping(mongo_collection_name); }

}  // namespace loquat::state
