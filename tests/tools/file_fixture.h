// A folder with files, the tools beneath it, and their answers.
#pragma once

#include <stdlib.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/json.h"
#include "tools/files.h"

namespace weft::tools::test {

// `root` is a folder in a folder of its own, so that there is an outside to get out to.
class Files {
 public:
  // `stores`, `closed`: files of weft's own, beneath the root, which may be made later.
  explicit Files(const FileLimits& limits = {}, const std::vector<std::string>& stores = {},
                 const std::vector<std::string>& closed = {}) {
    // In memory where that is to be had: trees of 100,000 names are made here.
    const std::filesystem::path memory = "/dev/shm";
    const auto parent = std::filesystem::exists(memory) ? memory : std::filesystem::temp_directory_path();
    std::string name = (parent / "weft-test-XXXXXX").string();
    outside_ = ::mkdtemp(name.data());
    root_ = outside_ / "root";
    std::filesystem::create_directory(root_);
    ClosedPaths paths;
    for (const std::string& path : stores) paths.stores.push_back((root_ / path).string());
    for (const std::string& path : closed) paths.files.push_back((root_ / path).string());
    WEFT_CHECK(add_file_tools(tools_, root_.string(), limits, std::move(paths)), "the tools do not open their root");
  }
  ~Files() {
    std::error_code ignored;
    std::filesystem::remove_all(outside_, ignored);
  }
  Files(const Files&) = delete;
  Files& operator=(const Files&) = delete;

  std::filesystem::path root() const { return root_; }
  std::filesystem::path outside() const { return outside_; }

  void write(const std::string& path, const std::string& content) const {
    std::filesystem::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path, std::ios::binary) << content;
  }
  void link(const std::string& to, const std::string& path) const { std::filesystem::create_symlink(to, root_ / path); }
  void hard_link(const std::string& to, const std::string& path) const {
    std::filesystem::create_hard_link(root_ / to, root_ / path);
  }
  std::string content(const std::string& path) const {
    std::ifstream file(root_ / path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  ToolReply call(const std::string& tool, const Json& arguments) const {
    const Cancelled cancelled = false;
    return call(tool, arguments, cancelled);
  }
  ToolReply call(const std::string& tool, const Json& arguments, const Cancelled& cancelled) const {
    return tools_.find(tool)->run({tool, to_text(arguments), "key"}, cancelled);
  }
  // The result of a call that is done. What is not valid JSON in valid UTF-8 ends the test.
  Json result(const std::string& tool, const Json& arguments) const {
    const ToolReply reply = call(tool, arguments);
    WEFT_CHECK(reply.status == ToolStatus::kDone, reply.output);
    auto value = parse_untrusted(reply.output);
    WEFT_CHECK(value, reply.output);
    return *std::move(value);
  }
  // Why a call did not work, and that it says that nothing was done.
  std::string refusal(const std::string& tool, const Json& arguments) const {
    const ToolReply reply = call(tool, arguments);
    return reply.status == ToolStatus::kFailed ? reply.output : "it was not refused: " + reply.output;
  }

 private:
  std::filesystem::path outside_;
  std::filesystem::path root_;
  Toolbox tools_;
};

}  // namespace weft::tools::test
