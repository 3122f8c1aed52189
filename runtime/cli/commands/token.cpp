// `weft token`: names who may call the port of a server, and what for.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "base/json.h"
#include "runtime/cli/connect/consent.h"
#include "runtime/cli/connect/place.h"
#include "runtime/cli/connect/target.h"
#include "runtime/cli/grammar/command.h"
#include "runtime/cli/render/event_line.h"
#include "runtime/cli/render/figures.h"
#include "runtime/cli/render/table.h"
#include "runtime/server/token_requests.h"

namespace weft::cli {
namespace {

struct TokenValues {
  std::string action;  // new, list, revoke
  std::string name;    // Of all but list.
  std::string scope;   // Of new.
};

Options describe(TokenValues& values) {
  return {
      one_of(
          {"new", "list", "revoke"},
          required("ACTION", "new: make one, which is printed this once; list; revoke: it opens nothing from then on",
                   &values.action)),
      optional("NAME", "For every action but list; kept with what is done under it", &values.name),
      option("--scope", "SCOPE",
             "new: all, or submit:WORKFLOW,... which submits these and reads the runs that it started", &values.scope),
  };
}

// The tokens of a store: through the server that was named or runs there, else in its files.
class TokenStore {
 public:
  explicit TokenStore(const Place& place)
      : tokens_(server::token_files(place.store)), files_(tokens_), engine_(find_engine(place, Patience::kCare)) {}

  template <class Request, class Response>
  Result<Response> call(Result<Response> (server::TokenRequests::*method)(const Request&) const,
                        const Request& request) {
    return engine_ ? engine_->call(method, request) : (files_.*method)(request);
  }

 private:
  server::Tokens tokens_;
  server::TokenRequests files_;
  std::unique_ptr<Target> engine_;
};

Json json_of(const v1::Token& token) {
  return {{"name", token.name()},
          {"scope", token.scope()},
          {"made_at_us", token.made_at_us()},
          {"revoked_at_us", token.revoked_at_us() == 0 ? Json() : Json(token.revoked_at_us())}};
}

void print(Terminal& terminal, const v1::TokensListResponse& listed) {
  std::vector<std::vector<std::string>> rows{{"NAME", "SCOPE", "MADE", "REVOKED"}};
  for (const v1::Token& token : listed.tokens()) {
    rows.push_back({printable(token.name()), printable(token.scope()), local_date_time(token.made_at_us()),
                    token.revoked_at_us() == 0 ? "-" : local_date_time(token.revoked_at_us())});
  }
  terminal.out(table(rows));
}

Exit token(const Context& context, const TokenValues& values) {
  WEFT_COMMAND_TRY(context, const Place place, place_for(context, values.action == "list" ? Use::kRead : Use::kAct));
  if (place.server.empty() && !place.store_exists) return fail(context, no_store(place.store));
  if (values.action != "list" && values.name.empty())
    return fail(context, invalid_argument(fmt::format("weft token {} NAME: the name is missing", values.action)));
  Terminal& terminal = context.terminal;
  TokenStore store(place);
  if (values.action == "list") {
    WEFT_COMMAND_TRY(context, const auto listed, store.call(&server::TokenRequests::list, v1::TokensListRequest()));
    if (terminal.is_text()) {
      print(terminal, listed);
      return Exit::kOk;
    }
    Json items = Json::array();
    for (const v1::Token& token : listed.tokens()) items.push_back(json_of(token));
    terminal.out_line(to_text(Json{{"tokens", std::move(items)}, {"next_page_token", ""}}));
    return Exit::kOk;
  }
  if (values.action == "revoke") {
    v1::TokensRevokeRequest request;
    request.set_name(values.name);
    WEFT_COMMAND_TRY(context, const auto revoked, store.call(&server::TokenRequests::revoke, request));
    const v1::Token& token = revoked.token();
    terminal.out_line(terminal.is_text() ? fmt::format("revoked {}", token.name()) : to_text(json_of(token)));
    return Exit::kOk;
  }
  if (values.scope.empty()) {
    return fail(context, invalid_argument("weft token new NAME --scope SCOPE: the scope is missing; it is `all`, or "
                                          "`submit:WORKFLOW,…`"));
  }
  v1::TokensNewRequest request;
  request.set_name(values.name);
  request.set_scope(values.scope);
  WEFT_COMMAND_TRY(context, const auto made, store.call(&server::TokenRequests::make, request));
  if (terminal.is_text()) {
    terminal.out_line(made.secret());
    terminal.err_line("the token is shown this once; weft keeps its hash alone");
    return Exit::kOk;
  }
  Json json = json_of(made.token());
  json["secret"] = made.secret();
  terminal.out_line(to_text(json));
  return Exit::kOk;
}

}  // namespace

Command token_command() {
  return {"token", Group::kServe, "Name who may call the port of a server, and what for",
          [] { return bound<TokenValues>(describe, token); }};
}

}  // namespace weft::cli
