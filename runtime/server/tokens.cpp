#include "runtime/server/tokens.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/random.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "runtime/server/private_file.h"

namespace weft::server {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kSecretBytes = 32;
constexpr std::string_view kSecretPrefix = "weft_";  // So that scanners of sources know one when they see it.
constexpr std::size_t kOwnFileBytesMax = 4'096;
constexpr std::size_t kNamedFileBytesMax = std::size_t{16} << 20;
constexpr std::string_view kNothingFits = "no token of this store fits the one that was given";

Result<std::string> new_secret() {
  std::string bytes(kSecretBytes, '\0');
  if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()))
    return internal("the kernel gives no random bytes, so no token is made");
  return std::string(kSecretPrefix) + to_hex(bytes);
}

bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= kTokenNameBytesMax && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '-';
  });
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n";
  const std::size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) - begin + 1);
}

// In a time that does not depend on where they differ.
bool equal(const Digest& a, const Digest& b) {
  unsigned differs = 0;
  for (std::size_t i = 0; i < a.size(); ++i) differs |= static_cast<unsigned>(a[i] ^ b[i]);
  return differs == 0;
}

std::int64_t microseconds(Time time) { return time.time_since_epoch().count(); }

std::array<std::int64_t, 6> stat_of(const std::string& path) {
  struct stat found{};
  if (::lstat(path.c_str(), &found) != 0) return {};
  return {static_cast<std::int64_t>(found.st_ino),
          found.st_size,
          found.st_mtim.tv_sec,
          found.st_mtim.tv_nsec,
          found.st_ctim.tv_nsec,
          found.st_mode};
}

}  // namespace

bool Scope::may_submit(std::string_view workflow) const {
  return reach == Reach::kAll || std::ranges::find(workflows, workflow) != workflows.end();
}

Result<Scope> parse_scope(std::string_view text) {
  constexpr std::string_view kSubmit = "submit:";
  if (text == "all") return Scope{};
  if (text == "metrics" || text.starts_with("relay:")) {
    return unimplemented(
        fmt::format("the scope \"{}\" reaches nothing in this version; a scope is `all` or `submit:WORKFLOW,…`", text));
  }
  if (!text.starts_with(kSubmit)) {
    return invalid_argument(fmt::format("\"{}\" is no scope: it is `all`, or `submit:WORKFLOW,…`", text));
  }
  Scope scope{Scope::Reach::kSubmit, {}};
  text.remove_prefix(kSubmit.size());
  while (true) {
    const std::size_t comma = text.find(',');
    const std::string_view name = text.substr(0, comma);
    if (name.empty() || name.size() > 256 || !is_utf8(name))
      return invalid_argument("a scope `submit:` names workflows, with a comma between two");
    scope.workflows.emplace_back(name);
    if (scope.workflows.size() > kScopeWorkflowsMax)
      return resource_exhausted(fmt::format("a scope names at most {} workflows", kScopeWorkflowsMax))
          .with("limit", "scope_workflows_max");
    if (comma == std::string_view::npos) return scope;
    text.remove_prefix(comma + 1);
  }
}

std::string to_text(const Scope& scope) {
  if (scope.reach == Scope::Reach::kAll) return "all";
  return fmt::format("submit:{}", fmt::join(scope.workflows, ","));
}

TokenFiles token_files(const std::string& store) {
  const fs::path path(store);
  const fs::path folder = path.parent_path();
  if (path.filename() == "weft.db") return {(folder / "token").string(), (folder / "tokens").string()};
  return {fs::path(path).replace_extension(".token").string(), fs::path(path).replace_extension(".tokens").string()};
}

Result<std::string> read_own_token(const std::string& path) {
  WEFT_TRY(const std::string text, read_private_file(path, kOwnFileBytesMax));
  const std::string_view secret = trimmed(text);
  if (!secret.starts_with(kSecretPrefix) || secret.size() != kSecretPrefix.size() + 2 * kSecretBytes)
    return data_loss(fmt::format("{} holds no token: remove it, and the next start makes one", path));
  return std::string(secret);
}

Result<std::string> Tokens::own() {
  auto found = read_own_token(files_.own);
  if (found || found.error().code != Code::kNotFound) return found;
  WEFT_TRY(const FolderLock lock, FolderLock::take(fs::path(files_.own).parent_path().string()));
  found = read_own_token(files_.own);
  if (found || found.error().code != Code::kNotFound) return found;
  WEFT_TRY(std::string secret, new_secret());
  WEFT_RETURN_IF_ERROR(replace_private_file(files_.own, secret + "\n"));
  return secret;
}

Result<std::vector<Tokens::Row>> Tokens::read_rows() const {
  auto text = read_private_file(files_.named, kNamedFileBytesMax);
  if (!text && text.error().code == Code::kNotFound) return std::vector<Row>();
  if (!text) return std::move(text).error();
  const Error damaged = data_loss(
      fmt::format("{} cannot be read as tokens: remove it, then no token but the store's own holds", files_.named));
  const auto json = parse_untrusted(*text);
  if (!json || !json->is_object() || !json->contains("tokens") || !(*json)["tokens"].is_array()) return damaged;
  std::vector<Row> rows;
  for (const Json& item : (*json)["tokens"]) {
    const auto is_text = [&](const char* key) { return item.contains(key) && item[key].is_string(); };
    const auto is_time = [&](const char* key) { return item.contains(key) && item[key].is_number_integer(); };
    if (!item.is_object() || !is_text("name") || !is_text("scope") || !is_text("sha256") || !is_time("made_at_us"))
      return damaged;
    Row row;
    row.token.name = item["name"].get<std::string>();
    auto scope = parse_scope(item["scope"].get<std::string>());
    const auto hash = from_hex(item["sha256"].get<std::string>());
    if (!scope || !hash || hash->size() != row.hash.size() || rows.size() == kTokensMax) return damaged;
    row.token.scope = *std::move(scope);
    row.token.made_at = Time(Duration(item["made_at_us"].get<std::int64_t>()));
    if (is_time("revoked_at_us")) row.token.revoked_at = Time(Duration(item["revoked_at_us"].get<std::int64_t>()));
    std::ranges::copy(*hash, row.hash.begin());
    rows.push_back(std::move(row));
  }
  return rows;
}

Status Tokens::write_rows(const std::vector<Row>& rows) const {
  Json items = Json::array();
  for (const Row& row : rows) {
    Json item = {{"name", row.token.name},
                 {"scope", to_text(row.token.scope)},
                 {"sha256", to_hex(view(row.hash))},
                 {"made_at_us", microseconds(row.token.made_at)}};
    if (row.token.revoked_at) item["revoked_at_us"] = microseconds(*row.token.revoked_at);
    items.push_back(std::move(item));
  }
  return replace_private_file(files_.named, weft::to_text(Json{{"tokens", std::move(items)}}) + "\n");
}

Result<std::string> Tokens::make(const std::string& name, std::string_view scope, Time now) {
  if (!is_name(name)) {
    return invalid_argument(
        fmt::format("\"{}\" is no name of a token: 1 to {} of a-z A-Z 0-9 . _ -", printable(name), kTokenNameBytesMax));
  }
  WEFT_TRY(Scope reach, parse_scope(scope));
  if (name == kStoreTokenName) return already_exists(fmt::format("{} is the name of the store's own token", name));
  const std::lock_guard guard(mutex_);
  WEFT_TRY(const FolderLock lock, FolderLock::take(fs::path(files_.named).parent_path().string()));
  WEFT_TRY(std::vector<Row> rows, read_rows());
  const auto known = std::ranges::find(rows, name, [](const Row& row) { return row.token.name; });
  if (known != rows.end()) {
    return already_exists(known->token.revoked_at
                              ? fmt::format("the token {} was revoked, and its name stays its own, since runs name who "
                                            "started them: choose another",
                                            name)
                              : fmt::format("there is a token {}: revoke it, or choose another name", name));
  }
  if (rows.size() >= kTokensMax) {
    return resource_exhausted(fmt::format("{} tokens were made, the most that a store keeps; remove {}, and all of "
                                          "them are gone",
                                          rows.size(), files_.named))
        .with("limit", "tokens_max");
  }
  WEFT_TRY(std::string secret, new_secret());
  rows.push_back({{name, std::move(reach), now, std::nullopt}, sha256(secret)});
  WEFT_RETURN_IF_ERROR(write_rows(rows));
  return secret;
}

Result<std::vector<Token>> Tokens::list() {
  WEFT_TRY(const std::vector<Row> rows, read_rows());
  std::vector<Token> tokens;
  for (const Row& row : rows) tokens.push_back(row.token);
  return tokens;
}

Result<Token> Tokens::revoke(const std::string& name, Time now) {
  if (name == kStoreTokenName) {
    return invalid_argument(
        fmt::format("the store's own token is taken back by removing {}; the next start makes another", files_.own));
  }
  const std::lock_guard guard(mutex_);
  WEFT_TRY(const FolderLock lock, FolderLock::take(fs::path(files_.named).parent_path().string()));
  WEFT_TRY(std::vector<Row> rows, read_rows());
  const auto known = std::ranges::find(rows, name, [](const Row& row) { return row.token.name; });
  if (known == rows.end()) return not_found(fmt::format("there is no token {}", printable(name)));
  if (known->token.revoked_at) return known->token;
  known->token.revoked_at = now;
  Token revoked = known->token;
  WEFT_RETURN_IF_ERROR(write_rows(rows));
  return revoked;
}

Status Tokens::refresh() {
  if (const Seen now{stat_of(files_.own)}; now != own_seen_) {
    own_hash_.reset();
    auto secret = read_own_token(files_.own);
    if (!secret && secret.error().code != Code::kNotFound) return std::move(secret).error();
    if (secret) own_hash_ = sha256(*secret);
    own_seen_ = now;
  }
  if (const Seen now{stat_of(files_.named)}; now != named_seen_) {
    rows_.clear();
    WEFT_TRY(rows_, read_rows());
    named_seen_ = now;
  }
  return {};
}

Result<Token> Tokens::find(std::string_view secret) {
  const Digest hash = sha256(secret);
  const std::lock_guard guard(mutex_);
  if (Status fresh = refresh(); !fresh) {
    own_seen_ = named_seen_ = {};
    return fresh.error();
  }
  // All of them, so that the time tells nothing.
  std::optional<Token> found;
  if (own_hash_ && equal(*own_hash_, hash)) found = Token{std::string(kStoreTokenName), {}, {}, std::nullopt};
  const Row* match = nullptr;
  for (const Row& row : rows_) {
    if (equal(row.hash, hash)) match = &row;
  }
  if (match != nullptr) found = match->token;
  if (!found) return Error{Code::kUnauthenticated, std::string(kNothingFits), {}};
  if (found->revoked_at) return Error{Code::kUnauthenticated, fmt::format("the token {} is revoked", found->name), {}};
  return *std::move(found);
}

}  // namespace weft::server
