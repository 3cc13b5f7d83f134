#include "app/import_states.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>
#include <future>
#include <map>

#include "core/error.h"
#include "db/mongo_collection.h"
#include "state/mongo_documents.h"

namespace loquat::app {
namespace {

namespace asio = boost::asio;
using db::Bson;
using db::MongoCollection;
using db::MongoSession;
using state::State;

constexpr std::size_t batch_size = 500;
constexpr std::size_t longest_key = 800;

struct Item {
  std::string id;  ///< the _id as text
  State state;
};
enum class Outcome : std::uint8_t { taken, known };
struct Result {
  Outcome outcome = Outcome::taken;
  std::string problem;  ///< not empty: left out
};

/// "loq" and a version in front of the 12 bytes of an object id; other ids are hashed. Recognizable, so that a state that was not imported
/// can be told from one that was.
MessageId make_message_id(const Bson& document) {
  constexpr std::array<std::uint8_t, 4> mark = {'l', 'o', 'q', 1};
  const auto text = document.describe("_id");
  const auto hex = parse_object_id(text);
  if (!hex) return MessageId::of_key("import\x1f" + text);
  MessageId id;
  std::ranges::copy(mark, id.bytes.begin());
  for (std::size_t i = 0; i < 12; ++i) id.bytes.at(4 + i) = static_cast<std::uint8_t>(std::stoul(hex->substr(2 * i, 2), nullptr, 16));
  return id;
}

std::string problem_of(const State& state, const Bson& document) {
  const auto thread = document.value("thread_id");
  if (!thread.is_string() && !thread.is_number()) return "thread_id is not a text";
  for (const auto* key : {&state.conversation.thread_id, &state.conversation.channel, &state.conversation.account}) {
    if (key->size() > longest_key) return "thread_id, channel or account is too long";
    if (key->contains('\0') || key->contains('\x1f')) return "thread_id, channel or account has the character U+0000 or U+001F";
  }
  return state.conversation.thread_id.empty() ? "thread_id is empty" : std::string();
}

/// Some old messages do not say their channel or page: the thread's last one that does counts.
class Conversations {
 public:
  explicit Conversations(MongoCollection& collection) : collection_(collection) {}

  chat::ConversationId complete(chat::ConversationId id) {
    if (id.channel.empty()) {
      id.channel = last(id.thread_id, "channel").channel;
    }
    if (id.channel == "facebook" && id.account.empty()) id.account = last(id.thread_id, "context.page_id").account;
    return id;
  }

 private:
  const chat::ConversationId& last(const std::string& thread, const std::string& member) {
    auto [place, fresh] = known_.try_emplace({thread, member});
    if (fresh) {
      Bson filter;
      filter.add("thread_id", thread).add("user_message." + member, Bson().add("$exists", true));
      const auto document = collection_.find_one(filter, Bson().add("_id", -1));
      if (document) place->second = state::conversation_of(*document);
    }
    return place->second;
  }

  MongoCollection& collection_;
  std::map<std::pair<std::string, std::string>, chat::ConversationId> known_;
};

/// Table of how far imports came.
class Checkpoint {
 public:
  Checkpoint(db::Database* database, std::string source) : database_(database), source_(std::move(source)) {
    if (database_ == nullptr) return;
    database_->run_blocking([](db::Connection& connection) {
      connection.script("CREATE TABLE IF NOT EXISTS loquat_imports (source text PRIMARY KEY, last_id text NOT NULL, seen bigint NOT NULL)");
    });
  }
  struct Place {
    std::string last_id;
    std::int64_t seen = 0;
  };
  Place load() {
    Place place;
    if (database_ == nullptr) return place;
    database_->run_blocking([&](db::Connection& connection) {
      const auto rows = connection("SELECT last_id, seen FROM loquat_imports WHERE source = $1", source_);
      if (!rows->empty()) place = {rows->text(0, 0), rows->integer(0, 1)};
    });
    return place;
  }
  void save(const Place& place) {
    if (database_ == nullptr) return;
    database_->run_blocking([&](db::Connection& connection) {
      connection(
          "INSERT INTO loquat_imports (source, last_id, seen) VALUES ($1, $2, $3)"
          " ON CONFLICT (source) DO UPDATE SET last_id = excluded.last_id, seen = excluded.seen",
          source_, place.last_id, place.seen);
    });
  }

 private:
  db::Database* database_;
  std::string source_;
};

/// One conversation's states of a batch, one after the other.
asio::awaitable<void> append_in_order(state::Store& to, std::vector<const Item*> items, std::vector<Result*> results) {
  for (std::size_t i = 0; i < items.size(); ++i) {
    const State& state = items[i]->state;
    try {
      const auto appended = co_await to.append(state, std::nullopt);
      results[i]->outcome = appended.existed ? Outcome::known : Outcome::taken;
    } catch (const Error& error) {
      if (error.code() == Code::unavailable) throw;
      results[i]->problem = error.what();
    }
  }
}

/// Whether the latest state of a conversation is one that was not imported: then older ones cannot come behind it any more.
bool has_moved_on(const std::optional<State>& latest, const State& next) {
  if (!latest || latest->erased) return false;
  const auto& id = latest->message_id;
  const bool imported = id && id->bytes[0] == 'l' && id->bytes[1] == 'o' && id->bytes[2] == 'q';
  return !imported && latest->date > next.date && latest->message_id != next.message_id;
}

std::string without_version(State state) {
  state.version = 0;
  return to_json(json::value(state::to_json_object(state)));
}

class Importer {
 public:
  Importer(state::Store& to, asio::io_context& loop, ImportReport& report) : to_(to), loop_(loop), report_(report) {}

  void take(const std::vector<Item>& items) {
    std::vector<Result> results(items.size());
    refuse_what_came_too_late(items, results);
    append(items, results);
    verify(items, results);
    for (std::size_t i = 0; i < items.size(); ++i) {
      if (!results[i].problem.empty())
        report_.misfit(items[i].id, results[i].problem);
      else if (results[i].outcome == Outcome::known)
        report_.known();
      else
        report_.done();
    }
  }

 private:
  template <class T>
  std::future<T> start(asio::awaitable<T> task) {
    return asio::co_spawn(loop_, std::move(task), asio::use_future);
  }

  static asio::awaitable<std::optional<State>> find_latest(state::Store& to, chat::ConversationId id) {
    co_return co_await to.find_latest(id);
  }
  static asio::awaitable<std::optional<State>> find_id(state::Store& to, MessageId id) { co_return co_await to.find_by_message_id(id); }

  void refuse_what_came_too_late(const std::vector<Item>& items, std::vector<Result>& results) {
    std::map<chat::ConversationId, std::future<std::optional<State>>> latest;
    for (const auto& item : items) {
      if (!latest.contains(item.state.conversation))
        latest.emplace(item.state.conversation, start(find_latest(to_, item.state.conversation)));
    }
    std::map<chat::ConversationId, std::optional<State>> found;
    for (auto& [id, future] : latest) found.emplace(id, future.get());
    for (std::size_t i = 0; i < items.size(); ++i) {
      const auto& state = items[i].state;
      if (!has_moved_on(found.at(state.conversation), state)) continue;
      if (!start(find_id(to_, *state.message_id)).get()) results[i].problem = "the conversation has newer states here already";
    }
  }

  void append(const std::vector<Item>& items, std::vector<Result>& results) {
    std::map<chat::ConversationId, std::pair<std::vector<const Item*>, std::vector<Result*>>> lanes;
    for (std::size_t i = 0; i < items.size(); ++i) {
      if (!results[i].problem.empty()) continue;
      auto& lane = lanes[items[i].state.conversation];
      lane.first.push_back(&items[i]);
      lane.second.push_back(&results[i]);
    }
    std::vector<std::future<void>> running;
    running.reserve(lanes.size());
    for (auto& [id, lane] : lanes) running.push_back(start(append_in_order(to_, std::move(lane.first), std::move(lane.second))));
    for (auto& future : running) future.wait();  // all of them, before one throws: they write into results
    for (auto& future : running) future.get();
  }

  void verify(const std::vector<Item>& items, std::vector<Result>& results) {
    std::vector<std::future<std::optional<State>>> reading;
    reading.reserve(items.size());
    for (const auto& item : items) reading.push_back(start(find_id(to_, *item.state.message_id)));
    for (auto& future : reading) future.wait();
    for (std::size_t i = 0; i < items.size(); ++i) {
      const auto stored = reading[i].get();
      // What was there already may have been erased or redacted since.
      if (!results[i].problem.empty() || results[i].outcome == Outcome::known) continue;
      if (!stored || without_version(*stored) != without_version(items[i].state)) results[i].problem = "what was stored is not the same";
    }
  }

  state::Store& to_;
  asio::io_context& loop_;
  ImportReport& report_;
};

/// Hands the documents that fit the filter on in batches, in the order of their _id.
void walk(MongoCollection& collection, const Bson& filter, Conversations& conversations, Importer& importer, ImportReport& report,
          const std::function<void(const std::string& last)>& batch_done) {
  std::vector<Item> items;
  std::string last;
  const auto flush = [&] {
    importer.take(items);
    items.clear();
    if (!last.empty()) batch_done(last);
  };
  collection.for_each(filter, {.sort = Bson().add("_id", 1), .limit = 0, .batch = batch_size}, [&](const Bson& document) {
    Item item{document.describe("_id"), state::from_document(document)};
    if (!document.has("version")) item.state.conversation = conversations.complete(item.state.conversation);
    if (!item.state.message_id) item.state.message_id = make_message_id(document);
    item.state.version = 0;
    item.state.origin = 0;
    if (auto problem = problem_of(item.state, document); !problem.empty()) {
      report.misfit(item.id, problem);
    } else if (!item.state.erased) {
      items.push_back(std::move(item));
    } else {
      report.known();  // what was erased stays erased
    }
    if (parse_object_id(document.describe("_id"))) last = document.describe("_id");
    if (items.size() >= batch_size) flush();
    return true;
  });
  flush();
}

}  // namespace

void import_states(db::MongoPool& from, state::Store& to, asio::io_context& loop, db::Database* checkpoints, const std::string& source,
                   ImportReport& report) {
  Checkpoint checkpoint(checkpoints, source);
  const auto place = checkpoint.load();
  from.run_blocking([&](MongoSession& session) {
    MongoCollection collection(session, state::mongo_collection_name);
    Conversations conversations(collection);
    Importer importer(to, loop, report);
    const auto total = collection.count(Bson());
    report.begin("states", total - place.seen);
    if (place.seen > 0) report.note("states: going on behind the first " + std::to_string(place.seen));
    // The old store's documents come first, ours behind them: so they were written.
    Bson old;
    old.add_null("version");
    if (!place.last_id.empty()) old.add("_id", Bson().add("$gt", db::ObjectId{place.last_id}));
    walk(collection, old, conversations, importer, report,
         [&](const std::string& last) { checkpoint.save({last, place.seen + report.seen()}); });
    walk(collection, Bson().add("version", Bson().add("$gt", 0)), conversations, importer, report, [](const std::string&) {});
    report.end();
    if (const auto now = collection.count(Bson()); now > place.seen + report.seen()) {
      report.note("states: " + std::to_string(now - place.seen - report.seen()) +
                  " were added meanwhile: run the import again when the old service has stopped");
    }
  });
}

}  // namespace loquat::app
