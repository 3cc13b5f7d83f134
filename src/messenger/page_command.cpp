#include "messenger/page_command.h"

#include <algorithm>
#include <boost/asio/use_awaitable.hpp>
#include <optional>
#include <ostream>

#include "core/error.h"
#include "core/json.h"
#include "messenger/page_profile.h"

namespace loquat::messenger {

namespace {

constexpr int done = 0;
constexpr int failed = 1;
constexpr int wrong_usage = 2;
constexpr int done_in_part = 3;
constexpr std::string_view profile_fields = "get_started,greeting,persistent_menu,ice_breakers";

std::string join(const std::vector<std::string>& texts, std::string_view separator) {
  std::string all;
  for (const auto& text : texts) all.append(all.empty() ? "" : separator).append(text);
  return all;
}

/// An answer of the Graph API: its JSON, or why there is none.
struct Answer {
  json::value body;
  std::string problem;  ///< empty: it worked
};

std::string hint_for(std::int64_t code, std::int64_t subcode) {
  constexpr std::int64_t menu_without_get_started = 2018145;
  if (code == 190 || code == 102) return " The page access token is no longer valid: make a new one in the app's settings.";
  if (code == 10 || (code >= 200 && code < 300))
    return " The app or the token lacks a permission: pages_messaging and pages_manage_metadata are needed.";
  if (subcode == menu_without_get_started) return " A persistent menu needs get_started.";
  if (code == 4 || code == 17 || code == 32 || code == 613) return " Too many calls: try again in some minutes.";
  return {};
}

std::int64_t number_member(const json::value& object, std::string_view name) {
  const auto* member = find_member(object, name);
  return member != nullptr && member->is_int64() ? member->get_int64() : 0;
}

/// Meta repeats a token that it takes for malformed.
std::string hide(std::string text, std::string_view token) {
  for (auto at = text.find(token); !token.empty() && at != std::string::npos; at = text.find(token, at + 1))
    text.replace(at, token.size(), "***");
  return text;
}

Answer read_answer(const http::ClientResponse& response, std::string_view token) {
  Answer answer;
  if (response.failure != http::Failure::none) {
    answer.problem = "the Graph API could not be reached: " + response.error;
    return answer;
  }
  JsonError ignored;
  const bool readable = try_parse_json(response.body, answer.body, ignored) && answer.body.is_object();
  const auto* error = readable ? find_member(answer.body, "error") : nullptr;
  if (error != nullptr && error->is_object()) {
    const auto code = number_member(*error, "code");
    const auto subcode = number_member(*error, "error_subcode");
    answer.problem = "Meta refused: " + hide(std::string(string_member(*error, "message")), token) + " (code " + std::to_string(code);
    if (subcode != 0) answer.problem += ", subcode " + std::to_string(subcode);
    answer.problem += ")." + hint_for(code, subcode);
  } else if (response.status < 200 || response.status >= 300 || !readable) {
    answer.problem = "the answer is none of the Graph API's (status " + std::to_string(response.status) + "); is GRAPH_API_URL right?";
  }
  return answer;
}

asio::awaitable<Answer> get(GraphClient& graph, const PageAccess& access, std::string path, url::Pairs query) {
  co_return read_answer(co_await graph.call(access, "GET", path, query, {}), access.token());
}

asio::awaitable<int> subscribe(GraphClient& graph, const PageAccess& access, const PageCommand& command, std::ostream& out,
                               std::ostream& err) {
  const auto& fields = command.fields.empty() ? needed_fields() : command.fields;
  const std::string path = command.page + "/subscribed_apps";
  const url::Pairs query{{"subscribed_fields", join(fields, ",")}};
  const auto answer = read_answer(co_await graph.call(access, "POST", path, query, {}), access.token());
  const auto* success = find_member(answer.body, "success");
  if (!answer.problem.empty() || (success != nullptr && *success == json::value(false))) {
    err << "not subscribed: " << (answer.problem.empty() ? "Meta did not say why" : answer.problem) << '\n';
    co_return failed;
  }
  if (command.json) {
    out << to_json(json::object{{"success", true}, {"fields", json::array(fields.begin(), fields.end())}}) << '\n';
  } else {
    out << "The app gets these events of the page: " << join(fields, ", ") << '\n';
  }
  co_return done;
}

struct Status {
  json::value page;
  json::array apps;
  json::object profile;
  std::vector<std::string> missing;  ///< needed fields that no app is subscribed to
  std::vector<std::string> problems;
};

json::array data_of(const json::value& body) {
  const auto* data = find_member(body, "data");
  return data != nullptr && data->is_array() ? data->get_array() : json::array();
}

std::vector<std::string> fields_of(const json::value& app) {
  std::vector<std::string> fields;
  const auto* list = find_member(app, "subscribed_fields");
  if (list == nullptr || !list->is_array()) return fields;
  for (const auto& field : list->get_array()) {
    // Older versions of the API give objects with a name.
    fields.emplace_back(field.is_string() ? as_view(field.get_string()) : string_member(field, "name"));
  }
  return fields;
}

std::vector<std::string> find_missing(const json::array& apps) {
  std::vector<std::string> missing = needed_fields();
  for (const auto& app : apps) {
    for (const auto& field : fields_of(app)) std::erase(missing, field);
  }
  return missing;
}

void print(const Status& status, std::ostream& out) {
  out << "page: " << string_member(status.page, "name") << " (" << string_member(status.page, "id") << ")\n";
  if (status.apps.empty()) out << "no app is subscribed: loquat page subscribe\n";
  for (const auto& app : status.apps) {
    out << "app: " << string_member(app, "name") << " (" << string_member(app, "id") << ")\n";
    out << "  fields: " << join(fields_of(app), ", ") << '\n';
  }
  if (!status.apps.empty() && !status.missing.empty()) out << "  missing: " << join(status.missing, ", ") << " (loquat page subscribe)\n";
  for (const auto& [name, value] : status.profile) out << std::string_view(name) << ": " << to_json(value) << '\n';
  if (status.profile.empty()) out << "no profile is set: loquat page profile FILE\n";
}

void print_json(const Status& status, std::ostream& out) {
  const json::object all{{"page", status.page},
                         {"subscribed_apps", status.apps},
                         {"missing_fields", json::array(status.missing.begin(), status.missing.end())},
                         {"profile", status.profile},
                         {"problems", json::array(status.problems.begin(), status.problems.end())}};
  out << to_json(all) << '\n';
}

asio::awaitable<int> show_status(GraphClient& graph, const PageAccess& access, const PageCommand& command, std::ostream& out,
                                 std::ostream& err) {
  Status status;
  auto page = co_await get(graph, access, command.page, {{"fields", "id,name"}});
  if (!page.problem.empty()) {
    err << page.problem << '\n';
    co_return failed;
  }
  status.page = std::move(page.body);
  const auto apps = co_await get(graph, access, command.page + "/subscribed_apps", {});
  if (!apps.problem.empty()) status.problems.push_back("subscribed apps: " + apps.problem);
  status.apps = data_of(apps.body);
  if (apps.problem.empty()) status.missing = find_missing(status.apps);
  const auto profile = co_await get(graph, access, command.page + "/messenger_profile", {{"fields", std::string(profile_fields)}});
  if (!profile.problem.empty()) status.problems.push_back("profile: " + profile.problem);
  for (const auto& entry : data_of(profile.body)) {
    if (const auto* object = entry.if_object()) status.profile.insert(object->begin(), object->end());
  }
  command.json ? print_json(status, out) : print(status, out);
  for (const auto& problem : status.problems) err << problem << '\n';
  co_return status.problems.empty() ? done : done_in_part;
}

asio::awaitable<std::string> change_profile(GraphClient& graph, const PageAccess& access, std::string path, std::string method,
                                            json::value body) {
  const auto text = to_json(body);
  co_return read_answer(co_await graph.call(access, method, path, {}, text), access.token()).problem;
}

/// Empty when the file is wrong, which is then said.
std::optional<Profile> read_profile(const std::string& text, std::ostream& err) {
  try {
    return parse_profile(text);
  } catch (const Error& error) {
    err << error.what() << '\n';
    return std::nullopt;
  }
}

asio::awaitable<int> set_profile(GraphClient& graph, const PageAccess& access, const PageCommand& command, std::ostream& out,
                                 std::ostream& err) {
  const auto profile = read_profile(command.profile, err);
  if (!profile) co_return wrong_usage;
  const std::string path = command.page + "/messenger_profile";
  std::vector<std::string> set;
  std::vector<std::string> removed;
  std::vector<std::string> problems;
  if (!profile->set.empty()) {
    const auto problem = co_await change_profile(graph, access, path, "POST", profile->set);
    if (!problem.empty()) problems.push_back("not set: " + problem);
    for (const auto& [name, value] : profile->set) {
      if (problem.empty()) set.emplace_back(name);
    }
  }
  if (!profile->remove.empty()) {
    const json::object body{{"fields", json::array(profile->remove.begin(), profile->remove.end())}};
    const auto problem = co_await change_profile(graph, access, path, "DELETE", body);
    if (!problem.empty()) problems.push_back("not removed: " + problem);
    if (problem.empty()) removed = profile->remove;
  }
  if (command.json) {
    out << to_json(json::object{{"set", json::array(set.begin(), set.end())},
                                {"removed", json::array(removed.begin(), removed.end())},
                                {"problems", json::array(problems.begin(), problems.end())}})
        << '\n';
  } else {
    if (!set.empty()) out << "set: " << join(set, ", ") << '\n';
    if (!removed.empty()) out << "removed: " << join(removed, ", ") << '\n';
  }
  for (const auto& problem : problems) err << problem << '\n';
  if (problems.empty()) co_return done;
  co_return set.empty() && removed.empty() ? failed : done_in_part;
}

}  // namespace

const std::vector<std::string>& needed_fields() {
  static const std::vector<std::string> fields{
      "messages", "messaging_postbacks",         "messaging_referrals", "messaging_optins", "message_echoes", "messaging_handovers",
      "standby",  "messaging_policy_enforcement"};
  return fields;
}

asio::awaitable<int> run_page_command(GraphClient& graph, const PageAccess& access, const PageCommand& command, std::ostream& out,
                                      std::ostream& err) {
  switch (command.action) {
    case PageCommand::Action::subscribe: co_return co_await subscribe(graph, access, command, out, err);
    case PageCommand::Action::status: co_return co_await show_status(graph, access, command, out, err);
    case PageCommand::Action::profile: co_return co_await set_profile(graph, access, command, out, err);
  }
  co_return wrong_usage;
}

}  // namespace loquat::messenger
