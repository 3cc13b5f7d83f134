#include "app/config.h"

#include <CLI/Config.hpp>
#include <algorithm>
#include <array>
#include <fstream>
#include <functional>
#include <sstream>
#include <thread>

#include "app/config_values.h"
#include "core/crypto.h"
#include "core/error.h"
#include "core/network.h"
#include "core/secret.h"
#include "core/text.h"
#include "db/sql.h"

extern char** environ;

namespace loquat::app {
namespace {

constexpr bool secret = true;

// THE table of settings. A default in brackets is a description.
const std::vector<SettingInfo> settings{
    {"HOST", "127.0.0.1", "address to listen on"},
    {"PORT", "8000", "port to listen on; 0 takes any free one"},
    {"ADMIN_PORT", "", "serves /admin, /docs and /metrics apart from the public port"},
    {"ROOT_PATH", "", "prefix of the paths behind a proxy, such as /api, whether it takes it off or leaves it on"},
    {"TRUSTED_PROXIES", "", "networks whose X-Forwarded-For is believed"},
    {"CORS_ORIGINS", "", "origins of web pages that may call, separated by commas"},
    {"IO_THREADS", "[number of cores, at most 4]", "event loops"},
    {"MAX_CONNECTIONS", "10000", "open client connections"},
    {"IMPORT_BODY_LIMIT", "64MiB", "largest body of imports and training data"},
    {"READINESS_TIMEOUT", "2", "seconds a store has to answer a ping"},
    {"SHUTDOWN_DELAY", "0", "seconds between SIGTERM and the end of accepting"},
    {"SHUTDOWN_GRACE", "25", "seconds for running work to end"},
    {"AUTH", "", "none: admin paths without a token on a public address, on purpose"},
    {"ADMIN_TOKEN", "", "token of the admin named admin", secret},
    {"ADMIN_TOKENS", "", "name:token,...", secret},
    {"SERVICE_TOKEN", "", "token of this installation's processes among each other", secret},
    {"SECRETS_KEY", "", "32 bytes in base64; several by comma, the first encrypts", secret},
    {"ALLOW_PRIVATE_ADDRESSES", "[loopback when HOST is loopback, else none]", "networks that bots' API calls may reach"},
    {"API_PROXY", "", "proxy of bots' API calls"},
    {"DATA_DIR", "./data", "files of this installation"},
    {"DATABASE_URL", "", "default database of all stores", secret},
    {"DB_DSN", "", "database of bus and bot; of the others when nothing closer is set", secret},
    {"DB_URL", "", "database of the states; of the others when nothing closer is set", secret},
    {"INTEGRATIONS_URL", "", "where the integrations are", secret},
    {"STATE_URL", "", "where the states are", secret},
    {"MONGODB_URI", "", "database of the integrations", secret},
    {"MONGODB_DB", "[the one in the URI, else chatbot]", "name of the MongoDB database"},
    {"DB_POOL_SIZE", "5", "connections kept"},
    {"DB_MAX_OVERFLOW", "10", "connections more under load"},
    {"DB_MAX_POOL", "[DB_POOL_SIZE + DB_MAX_OVERFLOW]", "connections at most"},
    {"DB_POOL_TIMEOUT", "5", "seconds to wait for a connection"},
    {"MONGO_MAX_POOL_SIZE", "100", "MongoDB connections at most"},
    {"SQLITE_SYNCHRONOUS", "full", "full or normal; normal may lose the last commits at a power cut"},
    {"LOG_LEVEL", "info", "debug, info, warning, error or critical"},
    {"LOG_FORMAT", "[text on a terminal, else json]", "json or text"},
    {"METRICS_ENABLED", "true", "serve /metrics"},
    {"PAGE_ACCESS_TOKEN", "", "token of the Facebook page", secret},
    {"APP_SECRET", "", "secret of the Facebook app: signs its webhooks", secret},
    {"VERIFY_TOKEN", "", "token of the webhook's verification", secret},
    {"APP_ID", "",
     "id of the Facebook app: only its echoes prove that a reply was delivered; without it those of any app that carry our metadata"},
    {"GRAPH_API_URL", "https://graph.facebook.com", "the Graph API"},
    {"GRAPH_API_VERSION", "[the one in GRAPH_API_URL, else v25.0]", "version of the Graph API"},
    {"PAGE_RATE_TEXT", "300", "messages a second and page, as Meta allows; 0: no limit"},
    {"PAGE_RATE_MEDIA", "10", "audio, video, images and files a second and page; 0: no limit"},
    {"TYPING", "on", "mark messages as seen and show that an answer is being typed"},
    {"CONSUMERS", "on", "off: webhooks are accepted and stored, not answered, until a process with on runs"},
    {"WEBHOOK_SILENCE_ALERT", "off", "time without a webhook of a page after which an alert is logged"},
    {"REPLY_MAX_AGE", "24h", "older replies are dropped"},
    {"DEDUP_DAYS", "7", "days for which redeliveries are recognized at least"},
    {"STATE_RETENTION_DAYS", "off", "days after which old states are deleted"},
    {"REST_RATE_PER_THREAD", "60", "messages a minute and conversation over REST"},
    {"REST_RATE_PER_ADDRESS", "600", "messages a minute and client address over REST"},
    {"SANDBOX", "auto", "auto: on a loopback HOST; off"},
};

/// Where a store is: without its password; what is no URL (a DSN in words) is hidden whole.
std::string show_url(const std::string& value) { return value.contains("://") ? db::without_password(value) : std::string(secret_mask); }

bool holds_url(const SettingInfo& info, std::string_view value) {
  const auto named = [&info](std::string_view end) { return info.name.ends_with(end); };
  if (named("_PROXY")) return true;
  return value.contains("://") && (!info.is_secret || named("_URL") || named("_URI") || named("_DSN"));
}

/// What may be printed of a value.
std::string mask_value(const SettingInfo& info, const std::string& value) {
  if (holds_url(info, value)) return db::without_password(value);
  return info.is_secret && !value.empty() ? std::string(secret_mask) : value;
}

/// Reads values by name in the order of precedence and collects what is wrong with them.
class Reader {
 public:
  Reader(const Sources& sources, Loaded& loaded) : sources_(sources), loaded_(loaded) {
    if (!sources.file.empty()) read_file();
    for (const auto& [name, value] : sources.command_line) check_known(name, "command line");
  }

  struct Found {
    std::string value;
    std::string source;
  };

  /// The value and where it is from; the default's value is empty when it is a description.
  Found find(std::string_view name) {
    const std::string key(name);
    const auto info = std::ranges::find(settings, name, &SettingInfo::name);
    if (auto value = pick(sources_.command_line, key); !value.empty()) return {value, "command line"};
    if (auto value = pick(sources_.environment, key); !value.empty()) return {value, "environment"};
    if (info->is_secret)
      if (const auto path = pick(sources_.environment, key + "_FILE"); !path.empty())
        return {read_secret_file(key, path), "environment (" + key + "_FILE)"};
    if (auto value = pick(file_, key); !value.empty()) return {value, "file"};
    const auto fallback = info->default_value.starts_with('[') ? std::string_view() : info->default_value;
    return {std::string(fallback), "default"};
  }

  std::string text(std::string_view name) { return note(name, find(name)); }

  template <class T, class Parse>
  void read(std::string_view name, T& target, std::string_view allowed, Parse parse) {
    const auto value = text(name);
    if (value.empty()) return;
    if (auto parsed = parse(value)) {
      target = static_cast<T>(*std::move(parsed));
    } else {
      wrong(name, value, allowed);
    }
  }

  template <class T>
  void integer(std::string_view name, T& target, std::int64_t least, std::int64_t most) {
    read(name, target, "a whole number from " + std::to_string(least) + " to " + std::to_string(most),
         [=](std::string_view value) { return parse_integer(value, least, most); });
  }
  void duration(std::string_view name, std::chrono::milliseconds& target) {
    read(name, target, "seconds, or a number with ms, s, m, h or d", parse_duration);
  }
  void boolean(std::string_view name, bool& target) { read(name, target, "true, false, 1, 0, yes, no, on or off", parse_bool); }

  void wrong(std::string_view name, std::string_view value, std::string_view allowed) {
    const auto info = std::ranges::find(settings, name, &SettingInfo::name);
    const std::string shown = info->is_secret ? "" : " is \"" + mask_value(*info, std::string(value)) + "\"";
    problem(std::string(name) + shown + ": allowed is " + std::string(allowed));
  }
  /// One wrong setting is told once, however many stores it is for.
  void problem(std::string text) {
    if (std::ranges::find(loaded_.problems, text) == loaded_.problems.end()) loaded_.problems.push_back(std::move(text));
  }

  std::string note(std::string_view name, const Found& found) {
    const auto info = std::ranges::find(settings, name, &SettingInfo::name);
    auto shown = mask_value(*info, found.value);
    if (shown.empty() && found.source == "default") shown = info->default_value;
    loaded_.origins.push_back({std::string(name), shown, found.source});
    return found.value;
  }

 private:
  static std::string pick(const std::map<std::string, std::string>& values, const std::string& key) {
    const auto found = values.find(key);
    return found == values.end() ? std::string() : std::string(text::trim_ascii(found->second));
  }

  void check_known(const std::string& name, const std::string& where) {
    if (std::ranges::find(settings, std::string_view(name), &SettingInfo::name) == settings.end())
      problem(name + " (" + where + "): there is no such setting; loquat print-config shows all");
  }

  void read_file() {
    std::ifstream stream(sources_.file);
    if (!stream) return problem("--config " + sources_.file + ": the file cannot be read");
    try {
      for (const auto& item : CLI::ConfigTOML().from_config(stream)) {
        if (item.name == "++" || item.name == "--") continue;  // CLI11's marks of a section's begin and end
        std::string name = item.fullname();
        std::ranges::transform(name, name.begin(),
                               [](char c) { return c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c))); });
        check_known(name, sources_.file);
        std::string joined;
        for (const auto& input : item.inputs) joined += (joined.empty() ? "" : ",") + input;
        file_[name] = joined;
      }
    } catch (const std::exception& error) {
      problem("--config " + sources_.file + ": " + error.what());
    }
  }

  std::string read_secret_file(const std::string& key, const std::string& path) {
    std::ifstream stream(path);
    std::ostringstream content;
    if (!stream || !(content << stream.rdbuf())) {
      problem(key + "_FILE: the file " + path + " cannot be read or is empty");
      return {};
    }
    return std::string(text::trim_ascii(content.str()));
  }

  const Sources& sources_;
  Loaded& loaded_;
  std::map<std::string, std::string> file_;
};

bool is_loopback(const std::string& host) {
  if (host == "localhost") return true;
  const auto address = IpAddress::parse(host);
  return address && address->is_loopback();
}

bool serves(const std::vector<std::string>& targets, std::string_view target) {
  return std::ranges::any_of(targets, [target](const auto& t) { return t == target || t == "all"; });
}

void read_networks(Reader& reader, std::string_view name, const std::string& value, std::vector<std::string>& target) {
  for (auto& network : parse_list(value)) {
    if (!IpNetwork::parse(network)) reader.wrong(name, network, "networks such as 10.0.0.0/8, separated by commas");
    target.push_back(std::move(network));
  }
}

void read_server(Reader& reader, Config& config) {
  config.host = reader.text("HOST");
  if (config.host != "localhost" && !IpAddress::parse(config.host)) reader.wrong("HOST", config.host, "an IP address or localhost");
  reader.integer("PORT", config.port, 0, 65535);
  reader.integer("ADMIN_PORT", config.admin_port, 1, 65535);
  if (config.admin_port != 0 && config.admin_port == config.port)
    reader.problem("ADMIN_PORT and PORT are the same: each needs a port of its own");
  config.root_path = reader.text("ROOT_PATH");
  while (config.root_path.ends_with('/')) config.root_path.pop_back();
  if (!config.root_path.empty() && !config.root_path.starts_with('/'))
    reader.wrong("ROOT_PATH", config.root_path, "a path that starts with /");
  read_networks(reader, "TRUSTED_PROXIES", reader.text("TRUSTED_PROXIES"), config.trusted_proxies);
  for (auto& origin : parse_list(reader.text("CORS_ORIGINS"))) {
    const bool web = origin.starts_with("http://") || origin.starts_with("https://");
    if (origin != "*" && (!web || origin.find('/', origin.find("://") + 3) != std::string::npos))
      reader.wrong("CORS_ORIGINS", origin, "origins such as https://www.example.org, separated by commas");
    config.cors_origins.push_back(std::move(origin));
  }
  config.io_threads = std::clamp<std::size_t>(std::thread::hardware_concurrency(), 1, 4);
  reader.integer("IO_THREADS", config.io_threads, 1, 64);
  reader.integer("MAX_CONNECTIONS", config.max_connections, 1, 1'000'000);
  reader.read("IMPORT_BODY_LIMIT", config.import_body_limit, "bytes, or a number with KiB, MiB or GiB", parse_bytes);
  reader.duration("READINESS_TIMEOUT", config.readiness_timeout);
  reader.duration("SHUTDOWN_DELAY", config.shutdown_delay);
  reader.duration("SHUTDOWN_GRACE", config.shutdown_grace);
}

void read_security(Reader& reader, Config& config) {
  config.auth = text::to_lower_ascii(reader.text("AUTH"));
  if (!config.auth.empty() && config.auth != "none") reader.wrong("AUTH", config.auth, "none");
  if (const auto token = reader.text("ADMIN_TOKEN"); !token.empty()) config.admin_tokens.emplace_back("admin", token);
  for (const auto& entry : parse_list(reader.text("ADMIN_TOKENS"))) {
    const auto colon = entry.find(':');
    if (colon == std::string::npos || colon == 0 || colon + 1 == entry.size()) {
      reader.wrong("ADMIN_TOKENS", "", "name:token, separated by commas");
    } else {
      config.admin_tokens.emplace_back(entry.substr(0, colon), entry.substr(colon + 1));
    }
  }
  config.service_token = reader.text("SERVICE_TOKEN");
  config.secrets_key = reader.text("SECRETS_KEY");
  try {
    const crypto::Keyring check(config.secrets_key);
  } catch (const Error&) {
    reader.wrong("SECRETS_KEY", "", "32 bytes in base64 (openssl rand -base64 32), several separated by commas");
  }
  if (const auto networks = reader.text("ALLOW_PRIVATE_ADDRESSES"); !networks.empty()) {
    config.allow_private_addresses.emplace();
    if (text::to_lower_ascii(networks) != "none")
      read_networks(reader, "ALLOW_PRIVATE_ADDRESSES", networks, *config.allow_private_addresses);
  } else if (is_loopback(config.host)) {
    config.allow_private_addresses = {"127.0.0.0/8", "::1"};
  } else {
    config.allow_private_addresses.emplace();
  }
  config.api_proxy = reader.text("API_PROXY");
}

using Kind = db::Url::Kind;

/// The first of the names that has a value; checked against the schemes that the store takes.
std::string choose_url(Reader& reader, std::string_view store, bool needed, std::initializer_list<std::string_view> names,
                       std::initializer_list<Kind> kinds, const std::string& data_dir) {
  for (const auto name : names) {
    const auto found = reader.find(name);
    if (found.value.empty()) continue;
    if (!needed) return found.value;
    try {
      const auto url = db::parse_url(found.value);
      if (std::ranges::find(kinds, url.kind) == kinds.end())
        reader.problem(std::string(name) + ": " + std::string(store) + " cannot be kept there; allowed is " +
                       (kinds.size() == 2 ? "sqlite:///file.db or postgresql://..." : "sqlite, postgresql, mongodb, memory or http"));
    } catch (const Error& error) {
      reader.problem(std::string(name) + ": " + error.what());
    }
    return found.value;
  }
  return "sqlite:///" + data_dir + "/loquat.db";
}

NeededStores stores_of(const std::vector<std::string>& targets, NeededStores stores) {
  const bool talks = serves(targets, "messenger") || serves(targets, "bot");
  return {stores.integrations || talks || serves(targets, "integrations"), stores.states || talks || serves(targets, "state"),
          stores.bot || talks};
}

void read_databases(Reader& reader, Config& config, const NeededStores& needed, Loaded& loaded) {
  config.data_dir = reader.text("DATA_DIR");
  for (const auto name : {"DATABASE_URL", "DB_DSN", "DB_URL", "INTEGRATIONS_URL", "STATE_URL", "MONGODB_URI"}) reader.text(name);
  // What is not needed may say what it likes.
  const auto any = {Kind::http, Kind::mongodb, Kind::sqlite, Kind::postgres, Kind::memory};
  const auto sql = {Kind::sqlite, Kind::postgres};
  config.integrations_url = choose_url(reader, "the integrations", needed.integrations,
                                       {"INTEGRATIONS_URL", "MONGODB_URI", "DATABASE_URL", "DB_DSN", "DB_URL"}, any, config.data_dir);
  config.states_url =
      choose_url(reader, "the states", needed.states, {"STATE_URL", "DB_URL", "DB_DSN", "DATABASE_URL"}, any, config.data_dir);
  config.database_url = choose_url(reader, "the bus and the bot", needed.bot, {"DB_DSN", "DATABASE_URL", "DB_URL"}, sql, config.data_dir);
  loaded.origins.push_back({"(integrations)", show_url(config.integrations_url), "chosen"});
  loaded.origins.push_back({"(states)", show_url(config.states_url), "chosen"});
  loaded.origins.push_back({"(bus, bot)", show_url(config.database_url), "chosen"});
  config.mongodb_db = reader.text("MONGODB_DB");
  std::int64_t overflow = 10;
  reader.integer("DB_POOL_SIZE", config.db_pool_size, 1, 1000);
  reader.integer("DB_MAX_OVERFLOW", overflow, 0, 1000);
  config.db_max_pool = config.db_pool_size + static_cast<std::size_t>(overflow);
  reader.integer("DB_MAX_POOL", config.db_max_pool, 1, 2000);
  config.db_pool_size = std::min(config.db_pool_size, config.db_max_pool);
  reader.integer("MONGO_MAX_POOL_SIZE", config.mongo_max_pool_size, 1, 10'000);
  reader.duration("DB_POOL_TIMEOUT", config.db_pool_timeout);
  reader.read("SQLITE_SYNCHRONOUS", config.sqlite_synchronous_full, "full or normal", [](std::string_view value) -> std::optional<bool> {
    const auto word = text::to_lower_ascii(value);
    if (word == "full") return true;
    if (word == "normal") return false;
    return std::nullopt;
  });
}

/// A duration, or "off".
void read_optional_duration(Reader& reader, std::string_view name, std::chrono::milliseconds& target) {
  reader.read(name, target, "off, seconds, or a number with ms, s, m, h or d",
              [](std::string_view value) -> std::optional<std::chrono::milliseconds> {
                if (parse_bool(value) == false) return std::chrono::milliseconds(0);
                return parse_duration(value);
              });
}

void read_messenger(Reader& reader, Config& config, const std::vector<std::string>& targets) {
  config.page_access_token = reader.text("PAGE_ACCESS_TOKEN");
  config.app_secret = reader.text("APP_SECRET");
  config.verify_token = reader.text("VERIFY_TOKEN");
  std::string missing;
  for (const auto& [name, value] : {std::pair("PAGE_ACCESS_TOKEN", &config.page_access_token), std::pair("APP_SECRET", &config.app_secret),
                                    std::pair("VERIFY_TOKEN", &config.verify_token)})
    if (value->empty()) missing += (missing.empty() ? "" : ", ") + std::string(name);
  const bool some = !config.page_access_token.empty() || !config.app_secret.empty() || !config.verify_token.empty();
  if (serves(targets, "messenger") && some && !missing.empty())
    reader.problem(missing +
                   " missing: set all of PAGE_ACCESS_TOKEN, APP_SECRET and VERIFY_TOKEN, or none of them (then they come from the "
                   "integration facebook)");
  config.app_id = reader.text("APP_ID");
  config.graph_api_url = reader.text("GRAPH_API_URL");
  config.graph_api_version = reader.text("GRAPH_API_VERSION");
  if (!config.graph_api_url.starts_with("http://") && !config.graph_api_url.starts_with("https://"))
    reader.wrong("GRAPH_API_URL", config.graph_api_url, "an http or https URL");
  reader.integer("PAGE_RATE_TEXT", config.page_rate_text, 0, 1'000'000);
  reader.integer("PAGE_RATE_MEDIA", config.page_rate_media, 0, 1'000'000);
  reader.boolean("TYPING", config.typing);
  reader.boolean("CONSUMERS", config.consumers);
  read_optional_duration(reader, "WEBHOOK_SILENCE_ALERT", config.webhook_silence_alert);
  reader.duration("REPLY_MAX_AGE", config.reply_max_age);
  reader.integer("DEDUP_DAYS", config.dedup_days, 1, 3650);
  reader.read("STATE_RETENTION_DAYS", config.state_retention_days, "off, or days from 1 to 36500",
              [](std::string_view value) -> std::optional<std::int64_t> {
                if (parse_bool(value) == false) return 0;
                return parse_integer(value, 1, 36'500);
              });
  reader.integer("REST_RATE_PER_THREAD", config.rest_rate_per_thread, 1, 1'000'000);
  reader.integer("REST_RATE_PER_ADDRESS", config.rest_rate_per_address, 1, 100'000'000);
  const auto sandbox = text::to_lower_ascii(reader.text("SANDBOX"));
  if (sandbox != "auto" && sandbox != "off") reader.wrong("SANDBOX", sandbox, "auto or off");
  config.sandbox = sandbox == "auto" && is_loopback(config.host);
}

void check_admin_access(const Config& config, const std::vector<std::string>& targets, Loaded& loaded) {
  const bool has_admin_paths = std::ranges::any_of(targets, [](const auto& target) { return target != "messenger"; });
  if (!has_admin_paths || !config.admin_tokens.empty()) return;
  if (config.auth == "none") {
    loaded.warnings.emplace_back("AUTH=none: the admin's paths are open to everybody who can reach this address");
  } else if (!is_loopback(config.host)) {
    loaded.problems.push_back("ADMIN_TOKEN is missing: with HOST " + config.host +
                              " the admin's paths would be open to the network. Set ADMIN_TOKEN, or listen on 127.0.0.1, or say AUTH=none");
  }
}

}  // namespace

const std::vector<SettingInfo>& setting_infos() { return settings; }

Loaded load_config(const Sources& sources, const std::vector<std::string>& targets, const NeededStores& stores) {
  Loaded loaded;
  Reader reader(sources, loaded);
  auto& config = loaded.config;
  read_server(reader, config);
  read_security(reader, config);
  read_databases(reader, config, stores_of(targets, stores), loaded);
  config.log_format = sources.is_terminal ? log::Format::text : log::Format::json;
  reader.read("LOG_LEVEL", config.log_level, "debug, info, warning, error or critical", parse_level);
  reader.read("LOG_FORMAT", config.log_format, "json or text", [](std::string_view value) -> std::optional<log::Format> {
    const auto word = text::to_lower_ascii(value);
    if (word == "json") return log::Format::json;
    if (word == "text") return log::Format::text;
    return std::nullopt;
  });
  reader.boolean("METRICS_ENABLED", config.metrics_enabled);
  read_messenger(reader, config, targets);
  check_admin_access(config, targets, loaded);
  return loaded;
}

std::map<std::string, std::string> read_environment() {
  std::map<std::string, std::string> values;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    if (const auto equals = text.find('='); equals != std::string_view::npos)
      values.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return values;
}

}  // namespace loquat::app
