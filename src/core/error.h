#pragma once

#include <stdexcept>
#include <string>
#include <utility>

namespace loquat {

/// What went wrong, in words that belong to no protocol; http/errors maps them to statuses in one place.
enum class Code {
  malformed = 1,        ///< the request cannot be read at all (400)
  invalid,              ///< readable, but its values are not allowed (422)
  unauthenticated,      ///< nobody is logged in (401)
  forbidden,            ///< somebody is, or the proof is wrong, and may not (403)
  not_found,            ///< (404)
  conflict,             ///< the thing exists already, or another was faster (409)
  precondition_failed,  ///< If-Match does not hold (412)
  too_large,            ///< (413)
  unsupported,          ///< a content coding we do not take (415)
  too_many,             ///< rate limit (429)
  unavailable,          ///< a database or service is away or full; trying again later may help (503)
};

/// The one exception type of Loquat. Thrown for what ends a request; what the caller must decide on is returned.
/// `what()` is meant for the client: plain words, no SQL, path, host or secret. `log_detail()` is for the log only.
class Error : public std::runtime_error {
 public:
  Error(Code code, const std::string& message, std::string log_detail = {})
      : std::runtime_error(message), code_(code), log_detail_(std::move(log_detail)) {}

  [[nodiscard]] Code code() const noexcept { return code_; }
  [[nodiscard]] const std::string& log_detail() const noexcept { return log_detail_; }

  /// A JSON array that answers instead of the message, as text: FastAPI's list of validation errors. Empty: none.
  [[nodiscard]] const std::string& issues() const noexcept { return issues_; }
  [[nodiscard]] Error with_issues(std::string json_array) && {
    issues_ = std::move(json_array);
    return std::move(*this);
  }

 private:
  Code code_;
  std::string log_detail_;
  std::string issues_;
};

}  // namespace loquat
