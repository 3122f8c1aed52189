// Tokens: who may do what on a port. Each has a name and a scope, and is kept as its SHA-256: 256 random bits need no
// slow hash, since nobody guesses them.
#pragma once

#include <array>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/time.h"

namespace weft::server {

inline constexpr std::size_t kTokensMax = 1'024;  // Of one store, revoked ones included.
inline constexpr std::size_t kTokenNameBytesMax = 64;
inline constexpr std::size_t kScopeWorkflowsMax = 64;
inline constexpr std::string_view kStoreTokenName = "store";

// What a token reaches.
struct Scope {
  enum class Reach : std::uint8_t {
    kAll,
    kSubmit,  // Submits `workflows`, and reads the runs that it started.
  } reach = Reach::kAll;
  std::vector<std::string> workflows;

  bool may_submit(std::string_view workflow) const;
};

// `all`, or `submit:WORKFLOW,…`. INVALID_ARGUMENT names what a scope may be.
Result<Scope> parse_scope(std::string_view text);
std::string to_text(const Scope& scope);

struct Token {
  std::string name;
  Scope scope;
  Time made_at;
  std::optional<Time> revoked_at;
};

// Where a store's tokens are. One rule on both sides: beside `weft.db` they are `token` and `tokens`, beside any other
// NAME.db `NAME.token` and `NAME.tokens`.
struct TokenFiles {
  std::string own;    // The store's own token, in clear: who can read the store's folder needs no more.
  std::string named;  // The hashes of the others.
};
TokenFiles token_files(const std::string& store);

// The tokens of a store, in its files: what another process changes there holds from the next call on.
//
// Invariants:
//  1. The files are this user's alone (0600), and are replaced as a whole. Files that are not are refused.
//  2. The name of a revoked token is never given again: runs name who started them.
// Thread-safe.
class Tokens {
 public:
  explicit Tokens(TokenFiles files) : files_(std::move(files)) {}

  // The store's own token; made where there is none.
  Result<std::string> own();
  // A new token: its secret, which is kept nowhere. ALREADY_EXISTS, INVALID_ARGUMENT, RESOURCE_EXHAUSTED.
  Result<std::string> make(const std::string& name, std::string_view scope, Time now);
  Result<std::vector<Token>> list();                        // In the order in which they were made, revoked ones too.
  Result<Token> revoke(const std::string& name, Time now);  // NOT_FOUND. Once revoked it stays so.
  // Whose secret it is. UNAUTHENTICATED for nobody's.
  Result<Token> find(std::string_view secret);

 private:
  struct Row {
    Token token;
    Digest hash{};
  };
  // What a file was when it was read; another in its place differs.
  struct Seen {
    std::array<std::int64_t, 6> stat{};
    bool operator==(const Seen&) const = default;
  };
  Status refresh();  // REQUIRES: mutex_.
  Result<std::vector<Row>> read_rows() const;
  Status write_rows(const std::vector<Row>& rows) const;
  Result<std::vector<Row>> rows_for_change();  // REQUIRES: mutex_, and the folder's lock.

  const TokenFiles files_;
  std::mutex mutex_;
  // Guarded by mutex_:
  Seen own_seen_, named_seen_;
  std::optional<Digest> own_hash_;
  std::vector<Row> rows_;
};

// The store's own token for a client: what stands in the file; NOT_FOUND where there is none.
Result<std::string> read_own_token(const std::string& path);

}  // namespace weft::server
