#include "runtime/server/tokens.h"

#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <thread>

#include "tests/folder.h"

namespace weft::server {
namespace {

const Time kNow{Duration(1'800'000'000'000'000)};

std::string content_of(const std::string& path) {
  std::ifstream in(path);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

mode_t mode_of(const std::string& path) {
  struct stat found{};
  REQUIRE(::lstat(path.c_str(), &found) == 0);
  return found.st_mode & 07777;
}

}  // namespace

TEST_CASE("the files of tokens stand beside their store, by one rule") {
  CHECK(token_files("/home/ada/.weft/weft.db").own == "/home/ada/.weft/token");
  CHECK(token_files("/home/ada/.weft/weft.db").named == "/home/ada/.weft/tokens");
  CHECK(token_files("/data/runs.db").own == "/data/runs.token");
  CHECK(token_files("/data/runs.db").named == "/data/runs.tokens");
}

TEST_CASE("a store's own token is made once, for its owner alone") {
  const Folder folder;
  const TokenFiles files = token_files(folder / "weft.db");
  Tokens tokens(files);
  const auto own = tokens.own();
  REQUIRE(own);
  CHECK(own->size() == 5 + 64);
  CHECK(mode_of(files.own) == 0600);
  CHECK(content_of(files.own) == *own + "\n");
  CHECK(*Tokens(files).own() == *own);
  CHECK(tokens.find(*own)->name == kStoreTokenName);
  CHECK(*read_own_token(files.own) == *own);
  // Taken back by removing it.
  std::filesystem::remove(files.own);
  CHECK(tokens.find(*own).error().code == Code::kUnauthenticated);
  CHECK(*tokens.own() != *own);
}

TEST_CASE("a token is kept as its hash, and found by itself alone") {
  const Folder folder;
  const TokenFiles files = token_files(folder / "weft.db");
  Tokens tokens(files);
  const std::string secret = *tokens.make("ci", "submit:nightly", kNow);
  CHECK(mode_of(files.named) == 0600);
  CHECK(content_of(files.named).find(secret) == std::string::npos);
  CHECK(content_of(files.named).find(secret.substr(5)) == std::string::npos);
  const auto found = tokens.find(secret);
  REQUIRE(found);
  CHECK(found->name == "ci");
  CHECK(to_text(found->scope) == "submit:nightly");
  for (std::size_t i = 0; i < secret.size(); ++i) {
    std::string other = secret;
    other[i] = other[i] == '0' ? '1' : '0';
    CHECK(tokens.find(other).error().code == Code::kUnauthenticated);
  }
  CHECK_FALSE(tokens.find(""));
  CHECK_FALSE(tokens.find(secret + "0"));
}

TEST_CASE("a name is a token's for ever, also when it is revoked") {
  const Folder folder;
  Tokens tokens(token_files(folder / "weft.db"));
  const std::string secret = *tokens.make("ci", "all", kNow);
  CHECK(tokens.make("ci", "all", kNow).error().code == Code::kAlreadyExists);
  REQUIRE(tokens.revoke("ci", kNow));
  CHECK(tokens.find(secret).error().message == "the token ci is revoked");
  CHECK(tokens.make("ci", "all", kNow).error().code == Code::kAlreadyExists);
  CHECK(tokens.revoke("ci", kNow + Duration(1))->revoked_at == kNow);
  CHECK(tokens.revoke("nobody", kNow).error().code == Code::kNotFound);
  CHECK(tokens.make("store", "all", kNow).error().code == Code::kAlreadyExists);
  REQUIRE(tokens.list());
  CHECK(tokens.list()->size() == 1);
}

TEST_CASE("names and scopes that are none are refused in words, and those of later versions say so") {
  const Folder folder;
  Tokens tokens(token_files(folder / "weft.db"));
  for (const std::string& name :
       {std::string(), std::string("a b"), std::string("a\n"), std::string(65, 'a'), std::string("ü")})
    CHECK(tokens.make(name, "all", kNow).error().code == Code::kInvalidArgument);
  for (const char* scope : {"", "ALL", "submit", "submit:", "submit:a,,b", "submit:a,", "submit:\xff"})
    CHECK(tokens.make("ci", scope, kNow).error().code == Code::kInvalidArgument);
  for (const char* scope : {"metrics", "relay:fast"})
    CHECK(tokens.make("ci", scope, kNow).error().code == Code::kUnimplemented);
  std::string many = "submit:";
  for (std::size_t i = 0; i <= kScopeWorkflowsMax; ++i) many += (i == 0 ? "w" : ",w") + std::to_string(i);
  CHECK(tokens.make("ci", many, kNow).error().code == Code::kResourceExhausted);
  CHECK_FALSE(std::filesystem::exists(folder / "tokens"));
}

TEST_CASE("a file of tokens that is not its owner's alone, a link, or nothing of ours is refused") {
  const Folder folder;
  const TokenFiles files = token_files(folder / "weft.db");
  const std::string secret = *Tokens(files).make("ci", "all", kNow);
  REQUIRE(Tokens(files).find(secret));
  ::chmod(files.named.c_str(), 0640);
  CHECK(Tokens(files).find(secret).error().code == Code::kPermissionDenied);
  ::chmod(files.named.c_str(), 0600);
  REQUIRE(Tokens(files).find(secret));
  const std::string elsewhere = folder / "elsewhere";
  std::filesystem::rename(files.named, elsewhere);
  std::filesystem::create_symlink(elsewhere, files.named);
  CHECK_FALSE(Tokens(files).find(secret));
  std::filesystem::remove(files.named);
  REQUIRE(::mkfifo(files.named.c_str(), 0600) == 0);
  CHECK_FALSE(Tokens(files).find(secret));
  std::filesystem::remove(files.named);
  for (const char* text : {"", "{}", "[]", R"({"tokens": 1})", R"({"tokens": [1]})", R"({"tokens": [{"name": "ci"}]})",
                           R"({"tokens": [{"name":"ci","scope":"all","sha256":"00","made_at_us":1}]})"}) {
    folder.write("tokens", text);
    ::chmod(files.named.c_str(), 0600);
    INFO(text);
    const auto found = Tokens(files).find(secret);
    REQUIRE_FALSE(found);
    CHECK(found.error().code == Code::kDataLoss);
    CHECK(found.error().message.find("remove it") != std::string::npos);
  }
}

TEST_CASE("tokens that several processes make at once are all there") {
  const Folder folder;
  const TokenFiles files = token_files(folder / "weft.db");
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&files, i] {
      Tokens tokens(files);
      for (int k = 0; k < 25; ++k) CHECK(tokens.make("t" + std::to_string(i * 25 + k), "all", kNow));
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(Tokens(files).list()->size() == 100);
}

TEST_CASE("a store keeps a limited number of tokens") {
  const Folder folder;
  const TokenFiles files = token_files(folder / "weft.db");
  std::string text = R"({"tokens":[)";
  for (std::size_t i = 0; i < kTokensMax; ++i) {
    text += (i == 0 ? "" : ",") + std::string(R"({"name":"t)") + std::to_string(i) + R"(","scope":"all","sha256":")" +
            std::string(64, '0') + R"(","made_at_us":1})";
  }
  folder.write("tokens", text + "]}");
  ::chmod(files.named.c_str(), 0600);
  Tokens tokens(files);
  REQUIRE(tokens.list());
  const auto refused = tokens.make("one-more", "all", kNow);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Code::kResourceExhausted);
  CHECK(refused.error().details == std::vector<Detail>{{"limit", "tokens_max"}});
}

}  // namespace weft::server
