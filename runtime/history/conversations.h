// The conversations of one run's agents, folded from the same events as the run itself. The state of a run holds no
// bytes of them; this holds them, as the parts of the next request, while an agent is at work.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "base/result.h"
#include "runtime/history/content_store.h"
#include "runtime/model/prefix.h"
#include "runtime/run/contents.h"
#include "weft/v1/event.pb.h"

namespace weft::history {

// Used by one thread at a time: the one that works on the run.
class Conversations {
 public:
  // kAll: conversations of attempts that have ended are kept too, since a retry of the run may continue them.
  enum class Keep : std::uint8_t { kAtWork, kAll };
  void apply(const v1::Event& event, Keep keep = Keep::kAtWork);
  void keep_only(const std::function<bool(const std::string& path, std::uint32_t attempt)>& wanted);
  // The up-to-date conversation of the attempt at work at `path`, which begins with `prefix`. Where it began with
  // another one (another dialect or model), it is written again from the recorded turns. Borrowed until the next event.
  Result<const model::Conversation*> at(const std::string& path, const std::shared_ptr<const model::Prefix>& prefix,
                                        run::Contents& contents);
  // How many bytes at() would read for the attempt at work at `path`; nothing where it would block on the store.
  std::optional<std::size_t> unread_bytes(const std::string& path, const model::Prefix& prefix,
                                          const ContentStore& contents) const;
  // The conversation as far as it is formed; null where at() has not formed one yet.
  const model::Conversation* find(const std::string& path) const;
  // The last model call that was recorded there, and when; null where there is none.
  struct Started {
    v1::ModelCallStarted call;
    Time at;
  };
  const Started* started(const std::string& path) const;
  // The first event of each agent at work, by path: its conversation is folded from the events at that path from there
  // on.
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
  using Results = std::vector<ToolResult>;  // Of one turn, in the order of its calls.
  using Message = std::variant<User, v1::ModelCallEnded, Results>;
  struct Agent {
    std::uint32_t attempt = 0;
    std::uint64_t begun_seq = 0;
    std::vector<Message> messages;
    std::size_t said = 0;  // So many of them are in `conversation`.
    std::vector<std::optional<ToolResult>>
        results;  // Of the turn under way, by call; said in order once all are there.
    std::vector<std::string> call_ids;
    std::unique_ptr<model::Conversation> conversation;
    std::optional<Started> started;
  };
  static Status say(model::Conversation& conversation, const Message& message, run::Contents& contents);
  std::map<std::string, Agent> agents_;  // By path; entries end with their attempt.
};

}  // namespace weft::history
