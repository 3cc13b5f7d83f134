#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "messenger/signature.h"

/// The first line is X-Hub-Signature-256, the second X-Hub-Signature, the rest the body. Nobody without the secret gets by.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace loquat::messenger;
  std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto take_line = [&text] {
    const auto end = text.find('\n');
    const auto line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    return line;
  };
  const auto first = take_line();
  const auto second = take_line();
  static const SignatureChecker checker("a secret of the fuzz target that the corpus does not know");
  if (checker.check(text, first, second) == SignatureResult::valid) std::abort();
  if (checker.check(text, {}, second) == SignatureResult::valid) std::abort();
  if (checker.check(text, checker.sign(text), second) != SignatureResult::valid) std::abort();
  return 0;
}
