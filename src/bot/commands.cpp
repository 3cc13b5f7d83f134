#include "bot/commands.h"

#include <fstream>
#include <iostream>
#include <iterator>
#include <optional>

#include "bot/draft.h"
#include "bot/schema.h"
#include "bot/sql_rows.h"
#include "core/error.h"
#include "db/migrate.h"

namespace loquat::bot {
namespace {

constexpr int failed = 1;
constexpr std::size_t most_printed = 20;

std::string read_file(const std::string& name) {
  if (name == "-") return {std::istreambuf_iterator<char>(std::cin), {}};
  std::ifstream file(name, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(file), {}};
  if (!file) throw Error(Code::not_found, "the file cannot be read");
  return text;
}

std::string print_place(const json::value& loc) {
  std::string place;
  for (const auto& part : loc.as_array()) {
    if (!place.empty()) place += '.';
    place += part.is_string() ? std::string(as_view(part.get_string())) : to_json(part);
  }
  return place;
}

/// Every issue on a line of its own, or the error's words.
void print(std::ostream& errors, const std::string& subject, const Error& error) {
  json::value issues;
  JsonError ignored;
  if (error.issues().empty() || !try_parse_json(error.issues(), issues, ignored) || !issues.is_array()) {
    errors << subject << ": " << error.what() << '\n';
    return;
  }
  std::size_t printed = 0;
  for (const auto& issue : issues.get_array()) {
    if (printed++ == most_printed) {
      errors << subject << ": and " << issues.get_array().size() - most_printed << " more\n";
      return;
    }
    const auto place = print_place(issue.at("loc"));
    errors << subject << ": " << place << (place.empty() ? "" : ": ") << string_member(issue, "msg") << '\n';
  }
}

struct Outcome {
  Store::Imported created;
  std::size_t updated = 0;
  std::int64_t version = 0;
};

class Import {
 public:
  Import(db::Database& database, const CommandSettings& settings, ExportFile file, const std::function<void(const Definition&)>& check)
      : database_(database), keyring_(*settings.keyring), file_(std::move(file)), check_(check) {}

  Outcome run() {
    database_.run_blocking([this](db::Connection& connection) { sql::ensure_default(connection, keyring_); });
    // The check compiles the whole bot: outside of the transaction that other writers wait for, unless the draft keeps changing.
    for (int attempt = 0; attempt < 5; ++attempt) {
      std::optional<std::int64_t> checked;
      database_.run_blocking([&](db::Connection& connection) {
        const auto draft = sql::load_draft(connection, keyring_);
        checked = draft.revision;
        checked_ = merge(draft, apply_export(draft, file_, {}));
      });
      if (check_) check_(to_definition(checked_));
      if (publish(checked)) return outcome_;
    }
    publish(std::nullopt);
    return outcome_;
  }

 private:
  /// False when the draft is not at `revision` any more. Without one the check runs inside.
  bool publish(std::optional<std::int64_t> revision) {
    bool done = false;
    database_.run_blocking([&](db::Connection& connection) {
      done = false;
      if (revision && sql::lock_draft(connection) != *revision) return;
      sql::change_draft(connection);
      const auto draft = sql::load_draft(connection, keyring_);
      const auto changes = apply_export(draft, file_, {});
      if (!revision && check_) check_(to_definition(merge(draft, changes)));
      sql::write_changes(connection, changes, keyring_);
      const auto created = changes.counts.intents_created + changes.counts.entities_created;
      outcome_ = {changes.counts, changes.intents.size() + changes.entities.size() - created, 0};
      outcome_.version = sql::insert_version(connection, sql::load_draft(connection, keyring_), "import", keyring_);
      done = true;
    });
    return done;
  }

  db::Database& database_;
  const crypto::Keyring& keyring_;
  ExportFile file_;
  const std::function<void(const Definition&)>& check_;
  Draft checked_;
  Outcome outcome_;
};

std::unique_ptr<db::Database> open(const CommandSettings& settings) {
  auto database = db::Database::open(settings.database);
  db::migrate(*database, migrations());
  return database;
}

void write_file(const std::string& name, const std::string& text, std::ostream& out) {
  if (name.empty() || name == "-") {
    out << text << '\n' << std::flush;
    return;
  }
  std::ofstream file(name, std::ios::binary | std::ios::trunc);
  file << text << '\n' << std::flush;
  if (!file) throw Error(Code::unavailable, "the file cannot be written");
}

}  // namespace

int import_command(const CommandSettings& settings, const std::string& file, const std::function<void(const Definition&)>& check,
                   std::ostream& out, std::ostream& errors) {
  try {
    auto parsed = parse_export_file(read_file(file), {});
    const auto database = open(settings);
    const auto outcome = Import(*database, settings, std::move(parsed), check).run();
    database->close();
    out << "imported " << file << ": " << outcome.created.intents_created << " new intents, " << outcome.created.entities_created
        << " new entities, " << outcome.updated << " updated; version " << outcome.version << " is live\n";
    return 0;
  } catch (const Error& error) {
    print(errors, file, error);
    return failed;
  }
}

int export_command(const CommandSettings& settings, const std::string& file, bool with_secrets, std::ostream& out, std::ostream& errors) {
  try {
    const auto database = open(settings);
    Draft draft;
    database->run_blocking([&](db::Connection& connection) {
      sql::ensure_default(connection, *settings.keyring);
      draft = sql::load_draft(connection, *settings.keyring);
    });
    database->close();
    write_file(file, to_json(json::value(make_export(draft, with_secrets)), {.ascii = true, .spaced = true}), out);
    return 0;
  } catch (const Error& error) {
    print(errors, file.empty() ? "export" : file, error);
    return failed;
  }
}

}  // namespace loquat::bot
