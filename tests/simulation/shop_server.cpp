#include "shop_server.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "verdict.h"

namespace weft::simulation {
namespace {

using Step = Network::Step;

constexpr std::string_view kUrl = "http://shop.simulated/";

// `knows_keys`: the same key again is the same effect.
struct Offer {
  tools::Effect effect = tools::Effect::kWrite;
  bool knows_keys = false;
};

const std::map<std::string, Offer, std::less<>>& offers() {
  static const std::map<std::string, Offer, std::less<>> kOffers = {
      {"look", {tools::Effect::kRead, false}},
      {"sell", {}},
      {"checked", {}},
      {"charge", {}},
      {"refund", {tools::Effect::kIdempotent, true}},
      {"again", {tools::Effect::kWrite, true}},
      {"left_out", {}},
      {"given_up", {}},
  };
  return kOffers;
}

Step broken_off(Duration delay, HttpFault fault) {
  Step step;
  step.kind = Step::Kind::kEnd;
  step.delay = delay;
  step.end.fault = fault;
  step.end.sent = fault != HttpFault::kConnect;
  step.end.message = fault == HttpFault::kConnect ? "connection refused" : "the connection was reset";
  return step;
}

}  // namespace

bool ShopServer::is_meant(const HttpRequest& request) { return request.url.starts_with(kUrl); }

std::string ShopServer::declarations(std::string_view text) {
  struct Declared {
    std::string_view name;
    std::string_view asked_by;  // The tool that another one's declaration names; empty: none does.
    std::string_view yaml;
  };
  constexpr Declared kDeclared[] = {
      {"books", "checked",
       R"(effect: read, input: {key: string}, http: {get: "http://shop.simulated/books/{{ args.key }}", timeout: 5s})"},
      {"look", "",
       R"(effect: read, input: {x: integer}, concurrency: {share: true},
    http: {get: "http://shop.simulated/look?x={{ args.x }}", timeout: 5s})"},
      {"sell", "",
       R"(input: {x: integer}, concurrency: {limit: 1},
    http: {post: "http://shop.simulated/sell", json: {x: "{{ args.x }}", key: "{{ call.key }}"}, timeout: 5s})"},
      {"checked", "",
       R"(input: {x: integer}, verify: {tool: books, args: {key: "{{ call.key }}"}},
    http: {post: "http://shop.simulated/checked", json: {x: "{{ args.x }}", key: "{{ call.key }}"}, timeout: 5s})"},
      {"charge", "",
       R"(input: {x: integer}, undo: {tool: refund, args: {of: "{{ call.key }}"}},
    http: {post: "http://shop.simulated/charge", json: {x: "{{ args.x }}", key: "{{ call.key }}"}, timeout: 5s})"},
      {"refund", "charge",
       R"(effect: idempotent, input: {of: string},
    http: {post: "http://shop.simulated/refund", json: "{{ args }}", idempotency_key: "{{ call.key }}", timeout: 5s})"},
      {"again", "",
       R"(on_doubt: retry, input: {x: integer},
    http: {post: "http://shop.simulated/again", json: "{{ args }}", idempotency_key: "{{ call.key }}", timeout: 5s})"},
      {"left_out", "",
       R"(on_doubt: skip, input: {x: integer},
    http: {post: "http://shop.simulated/left_out", json: {x: "{{ args.x }}", key: "{{ call.key }}"}, timeout: 5s})"},
      {"given_up", "",
       R"(on_doubt: fail, input: {x: integer},
    http: {post: "http://shop.simulated/given_up", json: {x: "{{ args.x }}", key: "{{ call.key }}"}, timeout: 5s})"},
  };
  const bool all = text.find("agent: buyer") != std::string_view::npos;
  std::string declared;
  for (const Declared& tool : kDeclared) {
    const std::string named = fmt::format("tool: {}\n", tool.asked_by.empty() ? tool.name : tool.asked_by);
    if (all || text.find(named) != std::string_view::npos)
      declared += fmt::format("  {}: {{{}}}\n", tool.name, tool.yaml);
  }
  return declared.empty() ? "" : "tools:\n" + declared;
}

Duration ShopServer::patience() {
  return schedule_.between(100, schedule_.random.percent(faults_.late) ? 20'000'000 : 800'000);
}

std::vector<Step> ShopServer::reply(int status, std::string body) {
  Step head;
  head.kind = Step::Kind::kHead;
  head.delay = patience();
  head.head.status = status;
  Step bytes;
  bytes.delay = Duration{10};
  bytes.bytes = std::move(body);
  Step end;
  end.kind = Step::Kind::kEnd;
  end.delay = Duration{10};
  end.end.ok = true;
  end.end.sent = true;
  return {head, bytes, end};
}

// What `books` finds under a key. What changes nothing fails in any way.
std::vector<Step> ShopServer::look(const std::string& path) {
  Random& random = schedule_.random;
  if (random.percent(faults_.failed)) return reply(random.one_in(2) ? 500 : 403, "not today");
  if (random.percent(faults_.unknown)) return {broken_off(patience(), HttpFault::kReset)};
  if (!path.starts_with("books/")) return reply(200, fmt::format("{{\"n\":{}}}", ++calls_));
  const auto found = done_.find(path.substr(6));
  if (found != done_.end()) return reply(200, found->second);
  return random.one_in(2) ? reply(404, "none") : reply(200, "null");
}

std::vector<Step> ShopServer::request(Life life, const HttpRequest& request) {
  Random& random = schedule_.random;
  const std::string path = request.url.substr(kUrl.size());
  schedule_.note(path);
  if (request.method == "GET") return look(path);
  std::string body;
  for (const auto& part : request.body) body += *part;
  const auto parsed = parse_untrusted(body);
  const auto offer = offers().find(path);
  if (!parsed || offer == offers().end()) broken(Promise::kOwnCheck, "nobody offers " + path + ": " + body);
  tools::ToolRequest call{path, body, parsed->value("key", "")};
  constexpr std::string_view kHeader = "Idempotency-Key: ";
  for (const std::string& header : request.headers) {
    if (header.starts_with(kHeader)) call.key = header.substr(kHeader.size());
  }
  books_.tool_called(life, call, offer->second.effect);
  const bool known = offer->second.knows_keys && done_.contains(call.key);
  const bool refused = !known && random.percent(faults_.failed);
  const bool unsaid = random.percent(faults_.unknown);
  const bool acts = !known && !refused && !(unsaid && random.one_in(2));
  const std::uint32_t way = random.below(3);
  if (say_)
    say_(fmt::format("  shop {} {} in life {}: {}", path, body, life,
                     refused  ? "refused"
                     : unsaid ? (acts || known ? "done, reply lost" : "not done, reply lost")
                              : "done"));
  if (refused && way == 0) return {broken_off(patience(), HttpFault::kConnect)};
  if (refused) return reply(way == 1 ? 422 : 429, "no");
  if (acts) {
    done_[call.key] = fmt::format("{{\"n\":{}}}", ++calls_);
    books_.tool_acted(life, call);
    if (path == "refund") books_.undone((*parsed)["of"].get<std::string>());
  }
  if (unsaid && way == 0) return {broken_off(patience(), HttpFault::kReset)};
  if (unsaid && way == 1) return {};  // Silence, until the call's timeout.
  if (unsaid) return reply(503, "try later");
  return reply(200, done_[call.key]);
}

}  // namespace weft::simulation
