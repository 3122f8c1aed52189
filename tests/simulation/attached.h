// The world that is at work on this thread: what the stand-ins for Loop, HttpClient and SystemClock belong to.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/http.h"
#include "schedule.h"

namespace weft::simulation {

// A life of the server: from one start of its engine to its end. Lives are numbered by the epoch they claim.
using Life = std::uint64_t;

// Where requests go. `client` owns what comes back; it is purged with the client.
class Network {
 public:
  virtual ~Network() = default;
  // One answer, as pieces that are delivered one after another. What is not finished goes silent.
  struct Step {
    enum class Kind : std::uint8_t { kHead, kBytes, kEnd };
    Kind kind = Kind::kBytes;
    Duration delay{0};  // After the step before.
    HttpHead head{};
    std::string bytes{};
    HttpEnd end{};
  };
  virtual std::vector<Step> request(Life life, const HttpRequest& request) = 0;
};

struct Attached {
  Schedule* schedule = nullptr;
  Network* network = nullptr;
  Life life = 0;           // That is being started: what is built now belongs to it.
  std::uint64_t work = 0;  // How often the engine has asked for the time: about once for each event and each timer.
  bool on_tool_thread = false;  // What is posted now is told of later, as a thread of its own would be.
};
Attached& attached();

}  // namespace weft::simulation
