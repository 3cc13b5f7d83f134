#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/log.h"

namespace loquat::app {

/// Every setting of a process, read once at start. Comments on single settings are in the table of config.cpp, which
/// is also what `print-config` and the documentation show.
struct Config {
  std::string host = "127.0.0.1";
  std::uint16_t port = 8000;
  std::uint16_t admin_port = 0;
  std::string root_path;
  std::vector<std::string> trusted_proxies;
  std::vector<std::string> cors_origins;
  std::size_t io_threads = 2;
  std::size_t max_connections = 10'000;
  std::size_t import_body_limit = std::size_t{64} << 20U;
  std::chrono::milliseconds readiness_timeout{2'000};
  std::chrono::milliseconds shutdown_delay{0};
  std::chrono::milliseconds shutdown_grace{25'000};

  std::string auth;                                               ///< "" or "none"
  std::vector<std::pair<std::string, std::string>> admin_tokens;  ///< name -> token
  std::string service_token;
  std::string secrets_key;
  std::optional<std::vector<std::string>> allow_private_addresses;
  std::string api_proxy;

  std::string data_dir = "./data";
  std::string integrations_url;  ///< the chosen URL of each store
  std::string states_url;
  std::string database_url;  ///< bus and bot
  std::string mongodb_db;
  std::size_t db_pool_size = 5;
  std::size_t db_max_pool = 15;
  std::size_t mongo_max_pool_size = 100;
  std::chrono::milliseconds db_pool_timeout{5'000};
  bool sqlite_synchronous_full = true;

  log::Level log_level = log::Level::info;
  log::Format log_format = log::Format::json;
  bool metrics_enabled = true;

  std::string page_access_token;
  std::string app_secret;
  std::string verify_token;
  std::string app_id;
  std::string graph_api_url = "https://graph.facebook.com";
  std::string graph_api_version;  ///< empty: the one in the URL, else the newest known
  int page_rate_text = 300;
  int page_rate_media = 10;
  bool typing = true;
  bool consumers = true;
  std::chrono::milliseconds webhook_silence_alert{0};  ///< 0: off
  std::chrono::milliseconds reply_max_age{std::chrono::hours(24)};
  bool sandbox = false;
  int dedup_days = 7;
  int state_retention_days = 0;  ///< 0: off
  int rest_rate_per_thread = 60;
  int rest_rate_per_address = 600;
};

/// One setting as found: for print-config.
struct Origin {
  std::string name;
  std::string value;   ///< as text, secrets masked, passwords in URLs too
  std::string source;  ///< "command line", "environment", "file", "default", "environment (X_FILE)"
};

struct Loaded {
  Config config;
  std::vector<Origin> origins;
  std::vector<std::string> problems;  ///< each names its setting and what is allowed; not empty: do not start
  std::vector<std::string> warnings;
};

/// Where values come from; the first that has a (non-empty) value wins: command line, environment, file, default.
struct Sources {
  std::map<std::string, std::string> command_line;  ///< by setting name, upper case
  std::map<std::string, std::string> environment;
  std::string file;          ///< path of the TOML file; empty: none
  bool is_terminal = false;  ///< stdout is one: LOG_FORMAT defaults to text
};

/// The stores that a command works with: where they are must be right.
struct NeededStores {
  bool integrations = false;
  bool states = false;
  bool bot = false;  ///< and the bus
};

/// Reads and checks everything; never throws for wrong settings. `targets`: what is to be served, which decides what is needed (a process
/// with admin paths needs a token or a loopback address). `stores`: what is needed besides.
[[nodiscard]] Loaded load_config(const Sources& sources, const std::vector<std::string>& targets, const NeededStores& stores = {});

/// Names of all settings, for the command line.
struct SettingInfo {
  std::string_view name;
  std::string_view default_value;
  std::string_view help;
  bool is_secret = false;
};
[[nodiscard]] const std::vector<SettingInfo>& setting_infos();

[[nodiscard]] std::map<std::string, std::string> read_environment();

}  // namespace loquat::app
