#include "state/search_request.h"

#include "core/query_values.h"
#include "core/schema.h"

namespace loquat::state {

SearchQuery read_search(const http::Request& request, std::string_view text_parameter, std::int64_t default_limit,
                        std::int64_t highest_limit) {
  schema::Issues issues;
  const schema::QueryReader query(request.query, issues);
  SearchQuery search;
  search.text = query.find_text(text_parameter);
  search.intent = query.find_text("intent");
  search.channel = query.find_text("channel");
  search.min_confidence = query.find_number("min_confidence");
  search.max_confidence = query.find_number("max_confidence");
  search.start_date = query.find_time("start_date");
  search.end_date = query.find_time("end_date");
  search.before = query.find_text("before");
  search.limit = static_cast<std::size_t>(query.integer("limit", default_limit, {.at_least = 1, .at_most = highest_limit}));
  issues.throw_if_any();
  return search;
}

}  // namespace loquat::state
