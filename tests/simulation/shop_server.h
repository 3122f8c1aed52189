// A shop on the world's network: the tools that simulated workflows declare for themselves, one HTTP request a call. It
// acts at the instant at which a request arrives; its reply may be late, lost or a refusal.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "attached.h"
#include "books.h"
#include "tool_server.h"

namespace weft::simulation {

// Outlives every life of the server, as the tools do.
class ShopServer final : public Network {
 public:
  ShopServer(Schedule& schedule, Books& books, const ToolFaults& faults, Books::Say say)
      : schedule_(schedule), books_(books), faults_(faults), say_(std::move(say)) {}

  std::vector<Step> request(Life life, const HttpRequest& request) override;

  static bool is_meant(const HttpRequest& request);
  // In YAML, the `tools:` of a workflow whose steps are these: those that it uses.
  static std::string declarations(std::string_view steps);

 private:
  std::vector<Step> look(const std::string& path);
  std::vector<Step> reply(int status, std::string body);
  Duration patience();

  Schedule& schedule_;
  Books& books_;
  const ToolFaults& faults_;
  const Books::Say say_;
  std::map<std::string, std::string> done_;  // Results by key.
  std::uint64_t calls_ = 0;
};

}  // namespace weft::simulation
