#pragma once

#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "core/json.h"

/// The recorded answers of a real FastAPI that the tests of schema.h and query_values.h compare with.
namespace loquat::testing {

struct PydanticCase {
  std::string path;
  std::string content_type;
  std::string sent;
  std::int64_t status;
  std::string answer;  ///< JSON as to_json prints it
};

inline std::vector<PydanticCase> read_pydantic_cases() {
  std::ifstream file("src/core/testdata/pydantic_cases.jsonl");
  if (!file) throw std::runtime_error("run the tests in the project's root");
  std::vector<PydanticCase> cases;
  for (std::string line; std::getline(file, line);) {
    const json::value parsed = parse_json(line);
    const auto& row = parsed.get_array();
    const auto* type = row[1].if_string();
    cases.push_back({std::string(row[0].get_string()), type == nullptr ? std::string() : std::string(*type),
                     std::string(row[2].get_string()), row[3].get_int64(), to_json(row[4])});
  }
  return cases;
}

}  // namespace loquat::testing
