#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace loquat::nlu {

/// A value found in a message.
struct EntityMatch {
  std::string type;       ///< the entity's name
  std::string value;      ///< canonical, by the synonym table
  std::size_t begin = 0;  ///< code points of the message
  std::size_t end = 0;
  double confidence = 1.0;
};

/// What a message means.
struct Meaning {
  std::optional<std::string> intent;  ///< the intent's `intentId`; empty: nothing fits
  double confidence = 0.0;            ///< 0..1
  std::vector<EntityMatch> entities;  ///< in the order of the text
};

}  // namespace loquat::nlu
