#include "runtime/cli/render/trace_text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/bytes.h"
#include "base/time.h"
#include "runtime/cli/render/event_line.h"

namespace weft::cli {
namespace {

constexpr std::size_t kArgumentColumns = 60;
constexpr std::size_t kSentenceColumns = 160;

struct Glyphs {
  std::string_view branch, last, line, blank;
};
constexpr Glyphs kLines{"├─ ", "└─ ", "│  ", "   "};
constexpr Glyphs kAscii{"|- ", "`- ", "|  ", "   "};

std::string mark(const Look& look, v1::StepStatus status) {
  switch (status) {
    case v1::STEP_STATUS_SUCCEEDED: return paint(look, Colour::kGreen, look.unicode ? "✓" : "+");
    case v1::STEP_STATUS_FAILED: return paint(look, Colour::kRed, look.unicode ? "✗" : "x");
    case v1::STEP_STATUS_SKIPPED: return paint(look, Colour::kDim, look.unicode ? "○" : "-");
    case v1::STEP_STATUS_ABSTAINED: return paint(look, Colour::kYellow, look.unicode ? "∅" : "?");
    case v1::STEP_STATUS_CANCELLED: return paint(look, Colour::kYellow, look.unicode ? "⊘" : "!");
    default: return paint(look, Colour::kYellow, look.unicode ? "…" : ".");
  }
}

// One entry of the tree with what hangs beneath it, before the lines are drawn.
struct Line {
  std::string text;
  std::vector<std::string> block;  // More lines of the same entry.
  std::vector<Line> below;
  bool bad = false;  // Failed, in doubt or lost.
};

class Drawing {
 public:
  Drawing(const TraceView& view, const Look& look, const FetchContent& fetch)
      : view_(view), look_(look), fetch_(fetch) {}

  Line node(const TraceNode& node) {
    Line line;
    line.text = head(node);
    line.bad = node.result && node.result->status() == v1::STEP_STATUS_FAILED;
    for (const TraceAttempt& attempt : node.attempts) {
      if (node.attempts.size() == 1) {
        fill(attempt, line);
      } else {
        Line inner;
        inner.text = fmt::format("attempt {}", attempt.number);
        if (attempt.failed) {
          inner.bad = true;
          inner.text += ": failed: " + sentence(attempt.failed->failure().message());
        }
        fill(attempt, inner);
        line.below.push_back(std::move(inner));
      }
    }
    for (const TraceNode& child : node.children) line.below.push_back(this->node(child));
    // An agent's text is shown with the model call that said it.
    if (view_.full && node.result) quote("output", node.result->output_json(), line);
    return line;
  }

  void draw(const Line& line, const std::string& prefix, std::string& text) const {
    const Glyphs& glyphs = look_.unicode ? kLines : kAscii;
    std::vector<const Line*> shown;
    for (const Line& below : line.below) {
      if (!view_.failed || is_bad(below)) shown.push_back(&below);
    }
    for (const std::string& more : line.block) {
      text += prefix + std::string(shown.empty() ? glyphs.blank : glyphs.line) + more + "\n";
    }
    for (const Line* below : shown) {
      const bool last = below == shown.back();
      text += prefix + std::string(last ? glyphs.last : glyphs.branch) + below->text + "\n";
      draw(*below, prefix + std::string(last ? glyphs.blank : glyphs.line), text);
    }
  }

 private:
  static bool is_bad(const Line& line) { return line.bad || std::ranges::any_of(line.below, is_bad); }

  std::string sentence(const std::string& text) const {
    return view_.full ? printable(text) : clip(text, kSentenceColumns, look_.unicode);
  }

  std::string head(const TraceNode& node) const {
    const v1::StepStatus status = node.result ? node.result->status() : v1::STEP_STATUS_UNSPECIFIED;
    std::string text = mark(look_, status) + " ";
    if (node.is_finally) text += paint(look_, Colour::kDim, "finally ");
    text += paint(look_, Colour::kBold, printable(node.label));
    if (!node.attempts.empty() && !node.attempts.back().label.empty())
      text += fmt::format("  \"{}\"", printable(node.attempts.back().label));
    if (node.kind() != v1::STEP_KIND_UNSPECIFIED) text += "  " + kind_name(node.kind());
    if (node.elements) text += fmt::format("  {} elements", *node.elements);
    if (!node.result) return text + "  not ended";
    const v1::StepResult& result = *node.result;
    if (status == v1::STEP_STATUS_SKIPPED)
      return text + "  " + paint(look_, Colour::kDim, printable(skip_text(result, node.cause)));
    text += "  " + took_text(node.first_at_us, node.ended_at_us);
    if (status != v1::STEP_STATUS_SUCCEEDED) text += "  " + status_name(status);
    if (result.has_failure()) text += ": " + sentence(result.failure().message());
    if (status != v1::STEP_STATUS_SUCCEEDED && !result.reason().empty()) text += ": " + sentence(result.reason());
    if (!node.chosen.empty() || !node.targets.empty()) {
      text += fmt::format("  {} {} {}", printable(node.chosen), look_.unicode ? "→" : "->",
                          node.targets.empty() ? "none" : fmt::format("{}", fmt::join(node.targets, ", ")));
    }
    if (node.verdict == v1::ROUND_VERDICT_AGAIN) text += "  again";
    if (node.verdict == v1::ROUND_VERDICT_ASK) text += "  no rounds left, asks: more, keep or fail";
    if (result.exhausted()) text += "  exhausted";
    if (node.kind() == v1::STEP_KIND_ASK && result.has_output_json())
      text += "  " + sentence(result.output_json().inline_());
    if (!result.answered_by().empty()) {
      text += "  by " + printable(result.answered_by());
      if (!node.answered_by_token) text += " (claimed)";  // Anybody who holds the socket may give any name.
    }
    if (result.limited()) text += "  " + paint(look_, Colour::kYellow, "limited");
    return text;
  }

  void fill(const TraceAttempt& attempt, Line& line) {
    if (attempt.waiting) return waiting(attempt, line);
    if (view_.full) quote(attempt.kind == v1::STEP_KIND_TOOL ? "arguments" : "prompt", attempt.input, line);
    // A turn's model call, then the tool calls that it asked for.
    auto tool = attempt.tool_calls.begin();
    const auto tools_of = [&](std::uint32_t turn) {
      for (; tool != attempt.tool_calls.end() && tool->turn <= turn; ++tool) line.below.push_back(tool_call(*tool));
    };
    tools_of(0);
    for (const TraceModelCall& call : attempt.model_calls) {
      tools_of(call.turn - 1);
      line.below.push_back(model_call(call));
    }
    tools_of(UINT32_MAX);
    if (attempt.refused) {
      Line refused;
      refused.text = "refused: " + sentence(attempt.refused->message());
      refused.bad = true;
      line.below.push_back(std::move(refused));
    }
  }

  Line model_call(const TraceModelCall& call) {
    Line line;
    line.text = fmt::format("model {}", printable(call.started.model()));
    if (call.shared) line.text += "  " + paint(look_, Colour::kDim, "shared");
    if (call.turn > 1 || call.sending > 1) line.text += fmt::format("  turn {}", call.turn);
    if (call.sending > 1) line.text += fmt::format("  sending {}", call.sending);
    if (call.ended) {
      const v1::ModelCallEnded& ended = *call.ended;
      line.text += "  " + to_text(Duration(ended.total_us()));
      if (ended.first_token_us() > 0)
        line.text += fmt::format(" (first token {})", to_text(Duration(ended.first_token_us())));
      line.text += "  " + figures(ended.usage(), ended.has_cost() ? &ended.cost() : nullptr);
      if (ended.cut()) line.text += "  " + paint(look_, Colour::kYellow, "cut by its length");
      if (view_.full) {
        quote("reasoning", ended.reasoning(), line);
        quote("text", ended.text(), line);
      }
    } else if (call.failed) {
      const v1::ModelCallFailed& failed = *call.failed;
      line.bad = true;
      if (call.lost()) {
        line.text += "  " + paint(look_, Colour::kYellow, failed.has_cost() ? "lost, estimated" : "lost, cost unknown");
      } else {
        line.text += "  " + to_text(Duration(failed.total_us())) + "  " + paint(look_, Colour::kRed, "failed") + ": " +
                     printable(failed.failure());
        if (failed.http_status() != 0) line.text += fmt::format(" (HTTP {})", failed.http_status());
        line.text += ": " + sentence(failed.message());
      }
      line.text += "  " + figures(failed.usage(), failed.has_cost() ? &failed.cost() : nullptr);
    } else {
      line.text += "  in flight";
    }
    return line;
  }

  static std::string figures(const v1::Usage& usage, const v1::Cost* cost) {
    return usage_text(usage) + "  " + usd_text(cost);
  }

  Line tool_call(const TraceToolCall& call) {
    Line line;
    line.text = "tool " + printable(call.tool);
    if (call.shared) line.text += "  " + paint(look_, Colour::kDim, "shared");
    if (auto arguments = content_bytes(call.arguments, fetch_); arguments && !arguments->empty()) {
      line.text += " " + (view_.full ? printable(*arguments) : clip(*arguments, kArgumentColumns, look_.unicode));
    }
    if (call.in_doubt) {
      line.bad = true;
      line.text += "  " + paint(look_, Colour::kRed, "in doubt") + ": " + sentence(*call.in_doubt);
    } else if (!call.ended) {
      line.text += call.started_at_us == 0 ? "  not started" : "  in flight";
    } else {
      finish(*call.ended, line);
    }
    for (const std::string& step : call.settled) {
      if (!call.in_doubt || &step != &call.settled.back())
        line.block.push_back(paint(look_, Colour::kYellow, sentence(step)));
    }
    return line;
  }

  // What is waited for; what came of it stands with the step.
  void waiting(const TraceAttempt& attempt, Line& line) {
    const v1::Waiting& wait = *attempt.waiting;
    std::string text;
    if (!wait.signal().empty()) text = "the signal " + wait.signal();
    if (wait.due_us() > 0) text = "until " + local_date_time(wait.due_us());
    if (attempt.kind == v1::STEP_KIND_ASK) {
      const auto question = content_bytes(attempt.input, fetch_);
      text = wait.to().empty() ? "asks: " : fmt::format("asks {}: ", wait.to());
      text += question ? *question : question.error().message;
      if (wait.choices_size() > 0) text += fmt::format(" ({})", fmt::join(wait.choices(), ", "));
    }
    line.block.push_back(paint(look_, Colour::kDim, sentence(text)));
    if (wait.expires_at_us() > 0)
      line.block.push_back(paint(look_, Colour::kDim, "at the latest " + local_date_time(wait.expires_at_us())));
  }

  void finish(const v1::ToolCallEnded& ended, Line& line) {
    if (ended.outcome() != v1::TOOL_OUTCOME_REFUSED) line.text += "  " + to_text(Duration(ended.total_us()));
    const bool done = ended.outcome() == v1::TOOL_OUTCOME_DONE || ended.outcome() == v1::TOOL_OUTCOME_REUSED;
    if (ended.outcome() == v1::TOOL_OUTCOME_REUSED) line.text += "  reused";
    if (!done) {
      line.bad = true;
      line.text += "  " + paint(look_, Colour::kRed, outcome_name(ended.outcome()));
      if (auto why = content_bytes(ended.output(), fetch_)) line.text += ": " + sentence(*why);
    } else if (view_.full) {
      quote("result", ended.output(), line);
    }
  }

  void quote(std::string_view what, const v1::Content& content, Line& line) {
    if (content.inline_().empty() && !content.has_blob()) return;
    auto bytes = content_bytes(content, fetch_);
    std::string rest = bytes ? *std::move(bytes) : "(" + bytes.error().message + ")";
    line.block.push_back(paint(look_, Colour::kDim, fmt::format("{}:", what)));
    while (!rest.empty()) {
      const std::size_t end = rest.find('\n');
      line.block.push_back("  " + printable(rest.substr(0, end)));
      rest = end == std::string::npos ? std::string() : rest.substr(end + 1);
    }
  }

  const TraceView& view_;
  const Look& look_;
  const FetchContent& fetch_;
};

}  // namespace

Result<std::string> trace_text(const TraceTree& tree, const v1::Run& run, const std::string& step,
                               const TraceView& view, const Look& look, const FetchContent& fetch) {
  const TraceNode* from = step.empty() ? &tree.root : tree.find(step);
  if (from == nullptr) return not_found(fmt::format("run {} has no step \"{}\", or several", run.id(), step));
  Drawing drawing(view, look, fetch);
  std::string text = run_line(run, look) + "\n";
  if (run.has_failure()) text += paint(look, Colour::kRed, "failed: ") + printable(run.failure().message()) + "\n";
  if (tree.cancel_reason)
    text += "cancel asked for" + (tree.cancel_reason->empty() ? "" : ": " + printable(*tree.cancel_reason)) + "\n";
  if (tree.forked) {
    text += printable(fmt::format("forked from {} at {}: shares what it did and paid before", tree.forked->source_run(),
                                  tree.forked->from())) +
            "\n";
  }
  for (const std::string& reason : tree.retried)
    text += "retried" + (reason.empty() ? "" : ": " + printable(reason)) + "\n";
  Line top;
  if (from == &tree.root) {
    for (const TraceNode& child : tree.root.children) top.below.push_back(drawing.node(child));
  } else {
    top.below.push_back(drawing.node(*from));
  }
  drawing.draw(top, "", text);
  return text;
}

}  // namespace weft::cli
