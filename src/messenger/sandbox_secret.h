#pragma once

#include <filesystem>
#include <optional>
#include <string>

namespace loquat::messenger {

/// The sandbox's app secret in DATA_DIR, when there is one. Throws Error(invalid) when the file holds none.
[[nodiscard]] std::optional<std::string> find_sandbox_secret(const std::filesystem::path& data_dir);

/// The same, made when it is missing: 32 random bytes in hex, readable by the owner only. Of several processes that make it at once one
/// wins and all return its secret. Throws Error(unavailable) when it cannot be written.
[[nodiscard]] std::string get_or_make_sandbox_secret(const std::filesystem::path& data_dir);

}  // namespace loquat::messenger
