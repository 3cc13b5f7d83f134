#pragma once

#include <libpq-fe.h>

#include <bit>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <string>

/// PostgreSQL's type numbers (pg_type.dat; fixed since long) and its binary integers (network order). Inside db/ only.
namespace loquat::db::pg {

constexpr Oid boolean = 16, bytea = 17, char1 = 18, name = 19, int8 = 20, int2 = 21, int4 = 23, text = 25, oid = 26, json = 114,
              float4 = 700, float8 = 701, unknown = 705, bpchar = 1042, varchar = 1043, timestamp = 1114, timestamptz = 1184, uuid = 2950,
              void_ = 2278, jsonb = 3802;
constexpr Oid bool_array = 1000, bytea_array = 1001, int2_array = 1005, int4_array = 1007, text_array = 1009, int8_array = 1016,
              varchar_array = 1015, timestamp_array = 1115, timestamptz_array = 1185, uuid_array = 2951, json_array = 199,
              jsonb_array = 3807;

constexpr std::int64_t epoch_microseconds = 946'684'800'000'000;  // 2000-01-01, where its times begin

template <std::integral T>
void append(std::string& out, T value) {
  auto bits = static_cast<std::make_unsigned_t<T>>(value);
  for (int shift = static_cast<int>(sizeof(T)) * 8 - 8; shift >= 0; shift -= 8) out += static_cast<char>(bits >> shift & 0xFFU);
}

template <std::integral T>
[[nodiscard]] T read(const char* data) {
  std::uint64_t bits = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i) bits = bits << 8U | static_cast<unsigned char>(data[i]);
  return static_cast<T>(static_cast<std::make_unsigned_t<T>>(bits));
}

}  // namespace loquat::db::pg
