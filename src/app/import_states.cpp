#include "app/import_states.h"

#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>
#include <functional>
#include <future>
#include <map>

#include "app/import_checkpoint.h"
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

/// "loq" and a form in front of the 12 bytes of an object id; other ids are hashed, with their type: 7 is not "7". Recognizable, so that a
/// state that was not imported can be told from one that was.
MessageId make_message_id(const Bson& document) {
  constexpr std::array<std::uint8_t, 3> mark = {'l', 'o', 'q'};
  constexpr std::uint8_t object_id = 1;
  constexpr std::uint8_t hash = 2;
  const auto id = document.find_object_id("_id");
  auto made = id ? MessageId() : MessageId::of_key("import\x1f" + std::string(Bson().add_same("_id", document, "_id").bytes()));
  std::ranges::copy(mark, made.bytes.begin());
  made.bytes[3] = id ? object_id : hash;
  for (std::size_t i = 0; id && i < 12; ++i)
    made.bytes.at(4 + i) = static_cast<std::uint8_t>(std::stoul(id->hex.substr(2 * i, 2), nullptr, 16));
  return made;
}

std::string problem_of(const State& state, const Bson& document) {
  if (!document.is_null("version") && document.find_integer("version").value_or(0) <= 0) return "version is not a number above 0";
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

/// The old store's documents: those with a version are ours.
Bson is_old() { return std::move(Bson().add_null("version")); }

class Walk {
 public:
  using Place = ImportCheckpoint::Place;

  Walk(MongoCollection& collection, Conversations& conversations, Importer& importer, ImportReport& report)
      : collection_(collection), conversations_(conversations), importer_(importer), report_(report) {}

  /// Hands the documents that fit the filter on in batches, in the order of their _id. `from`: where an earlier walk came to.
  void run(const Bson& filter, const Place* from, const std::function<void(const Place&)>& batch_done) {
    from_ = from;
    place_.reset();
    collection_.for_each(filter, {.sort = Bson().add("_id", 1), .limit = 0, .batch = batch_size}, [&](const Bson& document) {
      if (place_ && place_->last.kind("_id") != document.kind("_id")) flush(batch_done);
      go_to(document);
      take(document);
      if (items_.size() >= batch_size) flush(batch_done);
      return true;
    });
    flush(batch_done);
  }

 private:
  void go_to(const Bson& document) {
    auto last = std::move(Bson().add_same("_id", document, "_id"));
    const auto kind = last.kind("_id");
    if (!place_ || place_->last.kind("_id") != kind) {
      place_ = from_ && from_->last.kind("_id") == kind ? *from_ : Place();
      place_->left_out -= report_.left_out();
    }
    place_->last = std::move(last);
    ++place_->seen;
  }

  void take(const Bson& document) {
    const auto id = document.describe("_id");
    try {
      Item item{id, state::from_document(document)};
      if (document.is_null("version")) item.state.conversation = conversations_.complete(item.state.conversation);
      if (!item.state.message_id) item.state.message_id = make_message_id(document);
      item.state.version = 0;
      item.state.origin = 0;
      if (auto problem = problem_of(item.state, document); !problem.empty()) return report_.misfit(id, problem);
      if (item.state.erased) return report_.known();  // what was erased stays erased
      items_.push_back(std::move(item));
    } catch (const Error& error) {
      if (error.code() == Code::unavailable) throw;
      report_.misfit(id, error.what());
    }
  }

  void flush(const std::function<void(const Place&)>& batch_done) {
    importer_.take(items_);
    items_.clear();
    if (!place_) return;
    auto place = *place_;
    place.left_out += report_.left_out();
    batch_done(place);
  }

  MongoCollection& collection_;
  Conversations& conversations_;
  Importer& importer_;
  ImportReport& report_;
  std::vector<Item> items_;
  const Place* from_ = nullptr;
  std::optional<Place> place_;  ///< left_out: less those of the report
};

/// Where an import that was cut off goes on; not where the documents before are others by now: then it starts anew.
std::optional<ImportCheckpoint::Place> find_start(ImportCheckpoint& checkpoint, MongoCollection& collection, ImportReport& report) {
  auto place = checkpoint.load();
  if (!place) return place;
  Bson before = is_old();
  before.add("_id", std::move(Bson().add_same("$lte", place->last, "_id")));
  if (collection.count(before) == place->seen) {
    report.note("states: going on behind the first " + std::to_string(place->seen));
    return place;
  }
  report.note("states: the documents have changed since the import was cut off, it starts anew");
  return std::nullopt;
}

}  // namespace

void import_states(db::MongoPool& from, state::Store& to, asio::io_context& loop, db::Database* checkpoints, const std::string& source,
                   ImportReport& report) {
  ImportCheckpoint checkpoint(checkpoints, source);
  from.run_blocking([&](MongoSession& session) {
    MongoCollection collection(session, state::mongo_collection_name);
    Conversations conversations(collection);
    Importer importer(to, loop, report);
    Walk walk(collection, conversations, importer, report);
    const auto start = find_start(checkpoint, collection, report);
    const auto skipped = start ? start->seen : 0;
    report.begin("states", collection.count(Bson()) - skipped);
    // The old store's documents come first, ours behind them: so they were written.
    Bson old = is_old();
    // Not $gt: it does not match what is of another type.
    if (start) old.add("_id", Bson().add("$not", Bson().add_same("$lte", start->last, "_id")));
    walk.run(old, start ? &*start : nullptr, [&](const ImportCheckpoint::Place& place) { checkpoint.save(place); });
    walk.run(Bson().add("version", std::move(Bson().add_null("$ne"))), nullptr, [](const ImportCheckpoint::Place&) {});
    // The next import looks at everything again: what came meanwhile may lie anywhere.
    checkpoint.clear();
    report.end();
    if (start && start->left_out > 0)
      report.incomplete("states: left out before the import was cut off: " + std::to_string(start->left_out) +
                        "; run it again to see which");
    const auto seen = skipped + report.seen();
    if (const auto now = collection.count(Bson()); now != seen)
      report.incomplete("states: " + std::to_string(seen) + " documents were seen, but there are " + std::to_string(now) +
                        " now: run the import again when the old service has stopped");
  });
}

}  // namespace loquat::app
