#pragma once

#include <boost/asio/awaitable.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "nlu/meaning.h"

namespace loquat::nlu {

namespace asio = boost::asio;

/// What an interpreter learns from.
struct TrainingSpan {
  std::string type;
  std::string value;
  std::size_t begin = 0;  ///< code points
  std::size_t end = 0;
};
struct TrainingExample {
  std::string text;
  std::string intent;
  std::vector<TrainingSpan> spans;
};
struct EntityValue {
  std::string value;
  std::vector<std::string> synonyms;
};
struct EntityType {
  std::string name;
  std::vector<EntityValue> values;
};
struct TrainingData {
  std::vector<TrainingExample> examples;
  std::vector<EntityType> entities;
};

/// Port: understands messages. Immutable once built, thread-safe. "/intent" commands are the dialogue's, not asked here.
class Interpreter {
 public:
  virtual ~Interpreter() = default;
  [[nodiscard]] virtual asio::awaitable<Meaning> interpret(std::string_view text) const = 0;
  /// Entities only, for command texts.
  [[nodiscard]] virtual std::vector<EntityMatch> find_entities(std::string_view text) const = 0;
};

}  // namespace loquat::nlu
