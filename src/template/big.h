#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "template/ast.h"
#include "template/memory.h"
#include "template/value.h"

/// Integers of up to 4096 bits, over Boost.Multiprecision. The arguments may be any int (small ones and bools too), the results are
/// small whenever they fit 64 bits. Throws Failure when a result is larger than that.
namespace loquat::tmpl {

struct Big {
  bool negative;
  std::span<const std::uint64_t> words;  ///< magnitude, lowest first
};

[[nodiscard]] Value big_from_words(Memory& memory, bool negative, std::span<const std::uint64_t> words);
[[nodiscard]] Value big_from_double(Memory& memory, double whole);
[[nodiscard]] Value big_from_digits(Memory& memory, bool negative, std::string_view digits, int base);
[[nodiscard]] double big_to_double(const Value& number);               ///< infinite when too large
[[nodiscard]] double big_ratio(const Value& a, const Value& b);        ///< a / b, rounded once; infinite when too large
[[nodiscard]] int big_compare_real(const Value& number, double real);  ///< `real` is not NaN
[[nodiscard]] Value big_arithmetic(Memory& memory, Expr::Kind op, const Value& a, const Value& b);
[[nodiscard]] Value big_pow(Memory& memory, const Value& base, const Value& exponent);  ///< exponent >= 0
[[nodiscard]] int big_compare(const Value& a, const Value& b);
[[nodiscard]] std::string big_digits(const Value& number, int base);
[[nodiscard]] int big_sign(const Value& number) noexcept;
[[nodiscard]] std::int64_t big_bit_length(const Value& number);
[[nodiscard]] std::int64_t big_bit_count(const Value& number);

}  // namespace loquat::tmpl
