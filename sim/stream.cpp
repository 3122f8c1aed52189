#include "sim/stream.h"

#include <fmt/format.h>

namespace weft::sim {

std::string_view end_name(End end) {
  constexpr std::string_view names[] = {"done", "cut", "stalled", "reset", "gone", "refused"};
  return names[static_cast<std::size_t>(end)];
}

SteadyTime due(const Pace& pace, SteadyTime from, std::uint64_t token) {
  SteadyTime at = from + pace.first_token;
  if (pace.tokens_per_second <= 0) return at;
  double seconds = static_cast<double>(token) / pace.tokens_per_second;
  return at + std::chrono::duration_cast<SteadyTime::duration>(std::chrono::duration<double>(seconds));
}

bool EventStream::send(const Write& write, const Settle& settle) {
  head_ = fmt::format(R"(data: {{"id":{},"object":"chat.completion.chunk","created":{},"model":{},)"
                      R"("system_fingerprint":"sim",)",
                      json_string(answer_.id), answer_.created, json_string(answer_.model));
  end_ = run(write);
  if (end_ == End::kStalled) connection_.wait_until_gone();
  settle(end_, sent_);
  if (end_ == End::kReset) connection_.reset();
  return (end_ == End::kDone || end_ == End::kCut) && flush(write);
}

End EventStream::run(const Write& write) {
  if (!reply_.raw.empty()) {
    if (!wait_first_token(write)) return End::kGone;
    for (const std::string& line : reply_.raw) batch_.append(line).append("\n");
    return End::kDone;
  }
  if (!wait_first_token(write)) return End::kGone;
  if (!body(write)) return end_;
  event("{}", answer_.finish);
  if (include_usage_ && answer_.usage != nullptr) {
    batch_.append(head_).append(R"("choices":[],"usage":)").append(*answer_.usage).append("}\n\n");
  }
  if (!reply_.faults.no_done) batch_ += "data: [DONE]\n\n";
  return End::kDone;
}

// What a queue sends while it has not begun: comments.
bool EventStream::wait_first_token(const Write& write) {
  SteadyTime first = due(reply_.pace, from_, 0);
  if (reply_.keep_alive.count() > 0) {
    for (SteadyTime next = from_ + reply_.keep_alive; next < first; next += reply_.keep_alive) {
      if (connection_.wait_until(next) == Connection::Wait::kGone) return false;
      batch_ += ": keep-alive\n\n";
      if (!flush(write)) return false;
    }
  }
  return connection_.wait_until(first) == Connection::Wait::kElapsed;
}

bool EventStream::body(const Write& write) {
  event(answer_.thinking == Thinking::kOn ? R"({"role":"assistant","content":null,"reasoning_content":""})"
                                          : R"({"role":"assistant","content":""})",
        "");
  if (!pieces(answer_.reasoning, R"({"reasoning_content":)", "}", write)) return false;
  if (!pieces(answer_.text, R"({"content":)", "}", write)) return false;
  for (std::size_t i = 0; i < answer_.calls.size(); ++i) {
    const Call& call = answer_.calls[i];
    std::string head = fmt::format(
        R"({{"tool_calls":[{{"index":{},"id":{},"type":"function","function":{{"name":{},"arguments":""}}}}]}})", i,
        json_string(call.id), json_string(call.tool));
    if (!token(head, write)) return false;
    std::string before = fmt::format(R"({{"tool_calls":[{{"index":{},"function":{{"arguments":)", i);
    if (!pieces(call.arguments, before, "}}]}", write)) return false;
  }
  return !fault_due(write);
}

bool EventStream::pieces(std::string_view text, std::string_view before, std::string_view after, const Write& write) {
  while (!text.empty()) {
    std::string_view piece = first_token(text);
    text.remove_prefix(piece.size());
    if (!token(fmt::format("{}{}{}", before, json_string(piece), after), write)) return false;
  }
  return true;
}

bool EventStream::token(std::string_view delta, const Write& write) {
  if (fault_due(write)) return false;
  if (reply_.pace.tokens_per_second > 0) {
    SteadyTime at = due(reply_.pace, from_, sent_);
    if (at > std::chrono::steady_clock::now()) {
      if (!flush(write) || connection_.wait_until(at) == Connection::Wait::kGone) return false;
    }
  }
  event(delta, "");
  ++sent_;
  return batch_.size() < kBatchBytes || flush(write);
}

// Whether the stream is over here; what came before it has then left.
bool EventStream::fault_due(const Write& write) {
  const Faults& faults = reply_.faults;
  if (faults.malformed_after == sent_ && !malformed_sent_) {
    malformed_sent_ = true;
    batch_.append(head_).append(R"("choices":[{"index":0,"delta":{"content":)").append("\n\n");
  }
  if (faults.cut_after == sent_)
    end_ = End::kCut;
  else if (faults.stall_after == sent_)
    end_ = End::kStalled;
  else if (faults.reset_after == sent_)
    end_ = End::kReset;
  else
    return false;
  if (!flush(write)) end_ = End::kGone;
  return true;
}

void EventStream::event(std::string_view delta, std::string_view finish) {
  batch_ += head_;
  batch_.append(R"("choices":[{"index":0,"delta":)").append(delta).append(R"(,"logprobs":null,"finish_reason":)");
  batch_ += finish.empty() ? "null" : json_string(finish);
  batch_ += include_usage_ ? R"(}],"usage":null})" : "}]}";
  batch_ += "\n\n";
}

bool EventStream::flush(const Write& write) {
  bool written = batch_.empty() || write(batch_);
  batch_.clear();
  return written;
}

}  // namespace weft::sim
