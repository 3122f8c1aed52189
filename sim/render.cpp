#include "sim/render.h"

namespace weft::sim {

std::string render_answer(std::string_view reasoning, std::string_view text, const std::vector<Call>& calls) {
  std::string rendered = "<|assistant|>";
  if (!reasoning.empty()) rendered.append("<think>").append(reasoning).append("</think>");
  rendered += text;
  for (const Call& call : calls) rendered.append("<|call|>").append(call.tool).append("\n").append(call.arguments);
  rendered += "<|end|>";
  return rendered;
}

Rendered render(const Request& request) {
  Rendered rendered;
  std::string& text = rendered.text;
  if (request.thinking == Thinking::kOn && request.effort != "low") text += "<|effort " + request.effort + "|>";
  for (const Message& message : request.messages) {
    if (message.role == Role::kSystem) text.append("<|system|>").append(message.raw);
  }
  // The provider leaves the tools out of the prompt for "none".
  if (!request.tools_raw.empty() && request.tool_choice != "none") text.append("<|tools|>").append(request.tools_raw);
  if (request.json_object) text += "<|format json_object|>";
  rendered.ends.push_back(text.size());

  for (const Message& message : request.messages) {
    switch (message.role) {
      case Role::kSystem: continue;
      case Role::kUser: text.append("<|user|>").append(message.text).append("<|end|>"); break;
      case Role::kTool: text.append("<|tool|>").append(message.text).append("<|end|>"); break;
      case Role::kAssistant:
        // Without tools the provider drops what the model thought in earlier turns.
        text +=
            render_answer(request.tools.empty() ? std::string_view() : message.reasoning, message.text, message.calls);
        break;
    }
    rendered.ends.push_back(text.size());
  }
  return rendered;
}

}  // namespace weft::sim
