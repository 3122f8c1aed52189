// The conversations of one run's agents, folded from the same events as the run itself. A run's state holds no bytes of
// them; here they are, as the pieces of the next request, while an agent is at work.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "base/result.h"
#include "runtime/model/prefix.h"
#include "runtime/run/contents.h"
#include "weft/v1/event.pb.h"

namespace weft::engine {

// Shard only.
class Conversations {
 public:
  // kAll: also those of attempts that end stay, to be gone on with where a retry of the run does.
  enum class Keep : std::uint8_t { kAtWork, kAll };
  void apply(const v1::Event& event, Keep keep = Keep::kAtWork);
  void keep_only(const std::function<bool(const std::string& path, std::uint32_t attempt)>& wanted);
  // The conversation of the attempt at work at `path`, begun with `prefix`, up to date. Borrowed until the next event.
  Result<const model::Conversation*> at(const std::string& path, const std::shared_ptr<const model::Prefix>& prefix,
                                        run::Contents& contents);
  // The same where it has begun; null where it has not.
  const model::Conversation* find(const std::string& path) const;
  // The last sending that was recorded there, and when; null where none was.
  struct Started {
    v1::ModelCallStarted call;
    Time at;
  };
  const Started* started(const std::string& path) const;
  // With which event each of the agents at work began, by path: those from there on, at that path, make it again.
  std::map<std::string, std::uint64_t> begun() const;

 private:
  struct User {
    v1::Content text;
  };
  struct ToolResult {
    std::string call_id;
    v1::ToolOutcome outcome;
    v1::Content content;
  };
  using Message = std::variant<User, v1::ModelCallEnded, ToolResult>;
  struct Agent {
    std::uint32_t attempt = 0;
    std::uint64_t begun_seq = 0;
    std::vector<Message> unsaid;  // Not yet in `conversation`.
    std::vector<std::optional<ToolResult>>
        results;  // Of the turn under way, by call; said in order once all are there.
    std::vector<std::string> call_ids;
    std::unique_ptr<model::Conversation> conversation;
    std::optional<Started> started;
  };
  static Status say(model::Conversation& conversation, const Message& message, run::Contents& contents);
  std::map<std::string, Agent> agents_;  // By path; entries end with their attempt.
};

}  // namespace weft::engine
