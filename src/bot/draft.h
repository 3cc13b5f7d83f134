#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "bot/document.h"
#include "bot/store.h"

/// The draft that admins edit, as a whole, and the rules of the import. Pure.
namespace loquat::bot {

struct Draft {
  std::int64_t revision = 0;      ///< counts the changes of anything in it
  std::vector<Document> intents;  ///< in order of creation
  std::vector<Document> entities;
  json::object config;  ///< of the bot `default`
};

[[nodiscard]] Definition to_definition(const Draft& draft);

/// A file in the old export format, its elements still as they came.
struct ExportFile {
  json::array intents;
  json::array entities;
};

/// A byte order mark is fine; `intents` and `entities` may be missing or null; other members are ignored. Error(invalid) for what is no
/// JSON object. `loc` is the place of the issues, e.g. ["body", "file"].
[[nodiscard]] ExportFile parse_export_file(std::string_view text, const json::array& loc);
/// The same from documents that are whole.
[[nodiscard]] ExportFile to_export_file(const Definition& definition);
[[nodiscard]] std::string to_export_text(const Definition& definition);

/// What an import does to a draft.
struct ImportChanges {
  std::vector<Document> intents;  ///< new ones (version 0) and the next bodies of existing ones (version as in the draft)
  std::vector<Document> entities;
  Store::Imported counts;
};

/// Upserts by name as the old import did: members that an element has replace those of the first document of that name, the
/// others stay; of two elements with one name the later wins. A null stands for the member's default. Throws Error(invalid)
/// that names the element when what comes out is no intent or entity; nothing is taken then.
[[nodiscard]] ImportChanges apply_export(const Draft& draft, const ExportFile& file, const json::array& loc);
/// The draft after the import.
[[nodiscard]] Draft merge(Draft draft, const ImportChanges& changes);

/// The file that the export gives: no ids of intents, entities and parameters.
[[nodiscard]] json::object make_export(const Draft& draft, bool with_secrets);

}  // namespace loquat::bot
