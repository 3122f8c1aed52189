// A provider of models on the world's network: reads a request, makes up an answer, streams it in pieces, counts what
// it bills, and fails in the ways that providers fail.
#pragma once

#include <string>
#include <vector>

#include "attached.h"
#include "base/json.h"
#include "books.h"

namespace weft::simulation {

// In percent of requests.
struct ModelFaults {
  std::uint32_t refused = 0;  // 429, 500, 503.
  std::uint32_t broken = 0;   // No connection, a reset before, a cut within the stream, silence, an error as an event.
  std::uint32_t late = 0;     // It takes up to minutes.
};

class ModelServer final : public Network {
 public:
  ModelServer(Schedule& schedule, Books& books, const ModelFaults& faults, Books::Say say)
      : schedule_(schedule), books_(books), faults_(faults), say_(std::move(say)) {}

  std::vector<Step> request(Life life, const HttpRequest& request) override;

 private:
  struct Reply {
    std::string text;
    std::vector<std::pair<std::string, std::string>> calls;  // Wire names and arguments.
  };
  Reply make_up(const Json& body);
  static std::vector<std::string> chunks(const Reply& reply, const model::Usage& usage);

  Schedule& schedule_;
  Books& books_;
  const ModelFaults& faults_;
  const Books::Say say_;
  std::uint64_t requests_ = 0;
};

}  // namespace weft::simulation
