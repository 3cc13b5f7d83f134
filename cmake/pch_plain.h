// What nearly every file reads, compiled once: `./dev` switches it on (LOQUAT_PCH), which shortens a cold build by a third. Nobody
// includes it; a file that compiles only because of it fails in lint, which has it off.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <boost/json.hpp>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <variant>
#include <vector>
