#pragma once

#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

#include "bus/bus.h"
#include "db/sql.h"

/// What an operator does with events that could not be processed. Blocking, each in one short transaction beside a serving process.
namespace loquat::bus {

/// The first `limit` with numbers above `after`, in their order.
[[nodiscard]] std::vector<DeadLetter> list_dead_letters(db::Database& database, std::size_t limit, std::int64_t after = 0);
[[nodiscard]] std::optional<DeadLetter> find_dead_letter(db::Database& database, std::int64_t id);
/// Puts it back into the inbox under a new message id: it runs now, against today's state. False when there is none.
bool replay_dead_letter(db::Database& database, std::int64_t id);
bool drop_dead_letter(db::Database& database, std::int64_t id);

struct DeadLettersOptions {
  std::string action;             ///< list, show, replay, drop
  std::vector<std::int64_t> ids;  ///< of replay and drop: none with `all`
  bool all = false;
  bool json = false;
};
/// The command `loquat dead-letters`; the exit status: 0 done, 1 failed, 2 wrong usage, 3 done in part.
int run_dead_letters(const DeadLettersOptions& options, db::Database& database, std::ostream& out, std::ostream& err);

}  // namespace loquat::bus
