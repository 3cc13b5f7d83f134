#include "app/cli.h"

#include <unistd.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <iostream>

#include "app/app.h"
#include "app/commands.h"
#include "app/config.h"
#include "app/config_values.h"
#include "app/targets.h"
#include "core/error.h"
#include "core/log.h"

namespace loquat::app {
namespace {

constexpr int wrong_usage = 2;

/// What the command line says, before it is put together.
struct Invocation {
  Sources sources;
  std::vector<std::string> targets;
  std::string command;
  CommandOptions options;
};

std::string flag_of(std::string_view setting) {
  std::string flag = "--";
  for (const char c : setting) flag += c == '_' ? '-' : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return flag;
}

/// Every setting is an option of every command: --log-level=debug.
void add_settings(CLI::App& app, Invocation& invocation) {
  app.add_option("--config", invocation.sources.file, "settings file (TOML)")->group("Settings");
  for (const auto& info : setting_infos()) {
    std::string help(info.help);
    if (!info.default_value.empty()) help += " (" + std::string(info.default_value) + ")";
    // URL and from of single commands keep their names.
    app.add_option_function<std::string>(
           flag_of(info.name),
           [&invocation, name = std::string(info.name)](const std::string& value) { invocation.sources.command_line[name] = value; }, help)
        ->group("Settings");
  }
}

CLI::App* add_command(CLI::App& app, Invocation& invocation, const std::string& name, const std::string& help) {
  auto* command = app.add_subcommand(name, help);
  command->callback([&invocation, name] { invocation.command = name; });
  command->fallthrough();
  return command;
}

void add_serve(CLI::App& app, Invocation& invocation) {
  std::string help = "serve one or more of:";
  for (const auto& target : targets()) help += "\n  " + std::string(target.name) + ": " + std::string(target.help);
  auto* serve = add_command(app, invocation, "serve", help);
  serve->add_option("target", invocation.targets, "what to serve (default: all)");
}

void add_data_commands(CLI::App& app, Invocation& invocation) {
  auto& options = invocation.options;
  add_command(app, invocation, "migrate", "bring the databases' tables up to date")
      ->add_flag("--dry-run", options.dry_run, "only show what would be done");
  add_command(app, invocation, "import", "import a bot from a file in the export format; live at once")
      ->add_option("file", options.file, "the file, - for standard input")
      ->required();
  auto* exported = add_command(app, invocation, "export", "write the bot in the export format");
  exported->add_option("file", options.file, "the file (default: standard output)");
  exported->add_flag("--secrets", options.secrets, "with secrets in clear");
  auto* letters = add_command(app, invocation, "dead-letters", "messages that could not be processed");
  letters->add_option("action", options.action, "list, show, replay or drop")
      ->required()
      ->check(CLI::IsMember({"list", "show", "replay", "drop"}));
  letters->add_option("id", options.ids, "numbers that list shows");
  letters->add_flag("--all", options.all, "all of them");
  letters->add_flag("--json", options.json, "as JSON");
  auto* mongo = add_command(app, invocation, "import-mongodb", "move an old MongoDB database over");
  mongo->add_option("--from", options.from, "mongodb://...")->required();
  mongo->add_option("--only", options.only, "states, integrations, bot; separated by commas");
  add_command(app, invocation, "rotate-secrets", "encrypt all secrets with the first SECRETS_KEY");
}

void add_talk_commands(CLI::App& app, Invocation& invocation) {
  auto& options = invocation.options;
  auto* chat = add_command(app, invocation, "chat", "talk to the bot from the terminal");
  chat->add_option("--url", options.url, "where Loquat listens");
  chat->add_option("--thread", options.thread, "conversation to go on with");
  chat->add_flag("-v,--verbose", options.verbose, "show intent and slots");
  auto* send = add_command(app, invocation, "send", "play Meta's part: send a signed webhook, print the replies");
  send->add_option("text", options.text, "what the person says");
  send->add_option("--postback", options.postback, "payload of a button instead");
  send->add_option("--file", options.event_file, "file with a webhook's body or one event instead");
  send->add_option("--from", options.from, "id of the person");
  send->add_option("--page", options.page, "id of the page; default: the sandbox");
  send->add_option("--url", options.url, "where Loquat listens");
  send->add_flag("--json", options.json, "as JSON");
  auto* page = add_command(app, invocation, "page", "the Facebook page: subscribe, status, profile FILE");
  page->add_option("action", options.action, "subscribe, status or profile")
      ->required()
      ->check(CLI::IsMember({"subscribe", "status", "profile"}));
  page->add_option("file", options.file, "profile: JSON file with get_started, greeting, persistent_menu, ice_breakers");
  page->add_option("--page", options.page, "id of the page (default: the token's)");
  page->add_option("--fields", options.only, "subscribe: the webhook fields, separated by commas");
  page->add_flag("--json", options.json, "as JSON");
}

int fail(const std::vector<std::string>& problems) {
  for (const auto& problem : problems) std::cerr << "loquat: " << problem << "\n";
  if (problems.size() > 1) std::cerr << "loquat: " << problems.size() << " settings are wrong\n";
  return wrong_usage;
}

int print_config(const Loaded& loaded) {
  std::size_t width = 0;
  for (const auto& origin : loaded.origins) width = std::max(width, origin.name.size());
  std::vector<std::string> seen;
  for (const auto& origin : loaded.origins) {
    if (std::ranges::find(seen, origin.name) != seen.end()) continue;
    seen.push_back(origin.name);
    std::cout << origin.name << std::string(width - origin.name.size() + 2, ' ') << (origin.value.empty() ? "-" : origin.value) << "  ["
              << origin.source << "]\n";
  }
  return 0;
}

int serve(const Invocation& invocation, Loaded loaded) {
  log::configure(loaded.config.log_level, loaded.config.log_format);
  for (const auto& warning : loaded.warnings) log::warning("app", warning);
  try {
    App app(std::move(loaded.config), invocation.targets);
    return app.run();
  } catch (const Error& error) {
    log_reason(error);
    return 1;
  }
}

/// What the command needs, so that a wrong setting is found before it starts. rotate-secrets takes what is there.
NeededStores stores_of(const Invocation& invocation) {
  const auto& command = invocation.command;
  if (command == "migrate") return {.integrations = true, .states = true, .bot = true};
  if (command == "import" || command == "export" || command == "dead-letters") return {.bot = true};
  if (command != "import-mongodb") return {};
  const auto only = parse_list(invocation.options.only);
  const auto wants = [&only](std::string_view part) { return only.empty() || std::ranges::find(only, part) != only.end(); };
  return {.integrations = wants("integrations"), .states = wants("states"), .bot = wants("bot")};
}

int dispatch(Invocation& invocation) {
  if (invocation.command.empty()) invocation.command = "serve";
  const bool serves = invocation.command == "serve" || invocation.command == "check-config" || invocation.command == "print-config";
  if (serves && invocation.targets.empty()) invocation.targets = {"all"};
  for (const auto& target : invocation.targets) {
    if (find_target(target) != nullptr) continue;
    std::string names;
    for (const auto& known : targets()) names += (names.empty() ? "" : ", ") + std::string(known.name);
    return fail({"there is no target " + target + "; there are " + names});
  }
  invocation.sources.environment = read_environment();
  invocation.sources.is_terminal = isatty(STDOUT_FILENO) != 0;
  auto loaded = load_config(invocation.sources, invocation.targets, stores_of(invocation));
  if (invocation.command == "print-config") {
    print_config(loaded);
    return loaded.problems.empty() ? 0 : fail(loaded.problems);
  }
  if (!loaded.problems.empty()) return fail(loaded.problems);
  if (invocation.command == "check-config") {
    for (const auto& warning : loaded.warnings) std::cout << "warning: " << warning << "\n";
    std::cout << "The settings are right.\n";
    return 0;
  }
  if (invocation.command == "serve") return serve(invocation, std::move(loaded));
  log::configure(std::max(loaded.config.log_level, log::Level::warning), log::Format::text);
  return run_command(invocation.command, invocation.options, loaded.config);
}

}  // namespace

int run_cli(int count, char** arguments) {
  CLI::App app("Loquat, a chatbot backend for Facebook Messenger and websites");
  app.set_version_flag("--version", "loquat " LOQUAT_VERSION);
  app.require_subcommand(0, 1);
  app.get_formatter()->column_width(44);
  Invocation invocation;
  add_serve(app, invocation);
  add_talk_commands(app, invocation);
  add_data_commands(app, invocation);
  auto* check = add_command(app, invocation, "check-config", "only check the settings");
  auto* print = add_command(app, invocation, "print-config", "show all settings and where they come from");
  for (auto* command : {check, print}) command->add_option("target", invocation.targets, "what would be served (default: all)");
  add_command(app, invocation, "healthcheck", "ask a running process for /health: exit status 0 when it is well")
      ->add_option("--url", invocation.options.url, "where Loquat listens");
  add_settings(app, invocation);
  try {
    app.parse(count, arguments);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : wrong_usage;
  }
  try {
    return dispatch(invocation);
  } catch (const Error& error) {
    std::cerr << "loquat: " << error.what() << (error.log_detail().empty() ? "" : " (" + error.log_detail() + ")") << "\n";
    return 1;
  } catch (const std::exception& error) {
    std::cerr << "loquat: " << error.what() << "\n";
    return 1;
  }
}

}  // namespace loquat::app
