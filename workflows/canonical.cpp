// The workflow written again: keys in one order, scalars in one spelling, texts as they are. What is not written is not
// added, so that a later default does not change what an earlier file means.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "workflows/draft.h"
#include "workflows/expression/expression.h"
#include "workflows/loader_keys.h"

namespace weft::workflows {
namespace {

using Rule = Json (*)(const yaml::Node&);
struct Entry {
  const char* key;
  Rule rule;
};

void append(Json& object, const std::string& key, Json value) {
  // Keys are unique already, and the object's own insertion compares with every key before.
  static_cast<std::vector<Json::object_t::value_type>&>(object.get_ref<Json::object_t&>())
      .emplace_back(key, std::move(value));
}

// A block of one expression ends with a line break that is no text of it; in quotes it would be, so it is left out.
bool is_block_expression(const yaml::Node& node) {
  if (!node.is_scalar() || node.style != yaml::Style::kBlock || !node.text.ends_with('\n')) return false;
  Diagnostics ignored("");
  const auto read = Template::read(node, ignored);
  return read && read->is_expression();
}

Json as_is(const yaml::Node& node) {
  if (is_block_expression(node)) return node.text.substr(0, node.text.find_last_not_of('\n') + 1);
  if (node.is_sequence()) {
    Json list = Json::array();
    for (const auto& item : node.items) list.push_back(as_is(*item));
    return list;
  }
  if (!node.is_map()) return node.to_json();
  Json object = Json::object();
  for (const auto& member : node.members) append(object, member.key, as_is(*member.value));
  return object;
}

// Expressions and names: the text, since `1.0` and `1` are two expressions.
Json as_text(const yaml::Node& node) { return node.is_scalar() ? Json(node.text) : node.to_json(); }

Json as_count(const yaml::Node& node) {
  const auto count = parse_count(node);
  return count ? Json(*count) : node.to_json();
}

Json as_number(const yaml::Node& node) {
  const auto number = node.as_number();
  return number ? Json(*number) : node.to_json();
}

std::string duration_text(Duration duration) {
  const std::int64_t ms = duration.count() / 1000;
  for (const auto& [unit, factor] : {std::pair{"d", 86'400'000}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1000}}) {
    if (ms % factor == 0) return std::to_string(ms / factor) + unit;
  }
  return std::to_string(ms) + "ms";
}

Json as_duration(const yaml::Node& node) {
  const auto duration = parse_duration(node.text);
  return duration ? Json(duration_text(*duration)) : node.to_json();
}

Json as_backoff(const yaml::Node& node) {
  const std::size_t dots = node.text.find("..");
  if (dots == std::string::npos) return as_duration(node);
  const auto least = parse_duration(node.text.substr(0, dots)), most = parse_duration(node.text.substr(dots + 2));
  return least && most ? Json(duration_text(*least) + ".." + duration_text(*most)) : node.to_json();
}

// A name alone is a list of one.
Json as_list(const yaml::Node& node) {
  if (!node.is_scalar()) return node.to_json();
  Json list = Json::array();
  list.push_back(node.text);
  return list;
}

Json as_set(const yaml::Node& node) {
  Json list = as_list(node);
  std::sort(list.begin(), list.end());
  list.erase(std::unique(list.begin(), list.end()), list.end());
  return list;
}

Json in_order(const yaml::Node& map, const std::vector<Entry>& order) {
  Json out = Json::object();
  for (const auto& [key, rule] : order) {
    if (const yaml::Node* value = map.get(key)) append(out, key, rule(*value));
  }
  return out;
}

template <Rule rule>
Json each(const yaml::Node& map) {
  Json out = Json::object();
  for (const auto& member : map.members) append(out, member.key, rule(*member.value));
  return out;
}

Json as_targets(const yaml::Node& node) {
  const bool is_none = node.is_scalar() && node.text == "none";
  return is_none ? Json("none") : as_set(node);
}

Json as_retry(const yaml::Node& node) {
  return in_order(node, {{"attempts", as_count}, {"backoff", as_backoff}, {"on", as_list}});
}

Json as_repeat(const yaml::Node& node) {
  return in_order(node, {{"until", as_text}, {"at_most", as_count}, {"else", as_text}});
}

Json as_for_each(const yaml::Node& node) {
  if (!node.is_map()) return in_order(yaml::Node(), {});
  return in_order(node, {{"in", as_text}, {"key", as_text}, {"as", as_text}});
}

Json as_on_error(const yaml::Node& node) { return node.is_map() ? in_order(node, {{"use", as_is}}) : as_text(node); }

Json as_agent(const yaml::Node& node) {
  if (!node.is_map()) return Json::object();
  return in_order(node, {{"model", as_text},
                         {"context", as_is},
                         {"system", as_is},
                         {"tools", as_set},
                         {"turns", as_count},
                         {"max_output", as_count},
                         {"temperature", as_number},
                         {"retry", as_retry},
                         {"timeout", as_duration}});
}

Json as_step(const yaml::Node& node);

// `for_each` in its long form, with what may stand beside it or in it.
void append_for_each(Json& out, const yaml::Node& node) {
  const yaml::Node* each_node = node.get("for_each");
  if (!each_node) return;
  Json object = as_for_each(*each_node);
  if (!each_node->is_map()) append(object, "in", as_text(*each_node));
  for (const Entry& entry : {Entry{"max_parallel", as_count}, Entry{"on_item_error", as_text}}) {
    const yaml::Node* beside = node.get(entry.key);
    const yaml::Node* inside = each_node->get(entry.key);
    if (const yaml::Node* value = beside ? beside : inside) append(object, entry.key, entry.rule(*value));
  }
  append(out, "for_each", std::move(object));
}

Json as_step(const yaml::Node& node) {
  Json out = in_order(
      node, {{"label", as_is}, {"needs", as_list}, {"join", as_count}, {"cancel_rest", as_is}, {"when", as_text}});
  append_for_each(out, node);
  const Json rest = in_order(node, {{"repeat", as_repeat},
                                    {"agent", as_text},
                                    {"model", as_text},
                                    {"context", as_is},
                                    {"system", as_is},
                                    {"tools", as_set},
                                    {"turns", as_count},
                                    {"max_output", as_count},
                                    {"temperature", as_number},
                                    {"prompt", as_is},
                                    {"tool", as_text},
                                    {"args", as_is},
                                    {"set", as_is},
                                    {"wait", as_is},
                                    {"match", as_text},
                                    {"ask", as_is},
                                    {"choices", as_list},
                                    {"to", as_is},
                                    {"show", as_is},
                                    {"prefill", as_is},
                                    {"on_timeout", as_is},
                                    {"deadline", as_duration},
                                    {"switch", as_text},
                                    {"cases", each<as_targets>},
                                    {"default", as_targets},
                                    {"steps", each<as_step>},
                                    {"finally", each<as_step>},
                                    {"returns", as_is},
                                    {"output", as_is},
                                    {"retry", as_retry},
                                    {"timeout", as_duration},
                                    {"on_error", as_on_error}});
  for (const auto& [key, value] : rest.items()) append(out, key, value);
  return out;
}

Json as_tool(const yaml::Node& node) {
  const auto as_http = [](const yaml::Node& http) {
    Json out = Json::object();
    for (const auto& member : http.members)
      append(out, member.key, member.key == "timeout" ? as_duration(*member.value) : as_is(*member.value));
    return out;
  };
  return in_order(node, {{"description", as_is},
                         {"input", as_is},
                         {"effect", as_text},
                         {"on_doubt", as_text},
                         {"repeatable", as_is},
                         {"key_ttl", as_duration},
                         {"verify", as_is},
                         {"undo", as_is},
                         {"concurrency", as_is},
                         {"http", as_http}});
}

}  // namespace

std::string canonical(const yaml::Node& top) {
  return yaml::write(in_order(top, {{"weft", as_count},
                                    {"name", as_text},
                                    {"description", as_is},
                                    {"input", as_is},
                                    {"deadline", as_duration},
                                    {"on", as_is},
                                    {"models", each<as_is>},
                                    {"context", as_is},
                                    {"tools", each<as_tool>},
                                    {"defaults", as_agent},
                                    {"agents", each<as_agent>},
                                    {"steps", each<as_step>},
                                    {"finally", each<as_step>},
                                    {"returns", as_is}}));
}

}  // namespace weft::workflows
