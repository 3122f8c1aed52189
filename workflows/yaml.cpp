#include "workflows/yaml.h"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <map>
#include <set>
#include <sstream>

#include "workflows/yaml_scalar.h"
#include "workflows/yaml_source.h"

namespace weft::yaml {
namespace {

// Thrown out of the parser's callbacks, since they have no other way to end the parse; caught in read().
struct Stop {};

constexpr char kBareTemplate[] = "a value that begins with {{ must be quoted, since YAML reads it as a map";

// Builds the tree from the parser's events, and stops the parse at the first limit.
class Builder final : public YAML::EventHandler {
 public:
  // `question` is the byte that stands for `?` in what the parser reads.
  Builder(const Source& source, char question, Diagnostics& diagnostics, const Limits& limits)
      : source_(source), question_(question), diagnostics_(diagnostics), limits_(limits) {}

  NodePtr root() const { return root_; }
  // Lines on which a fault has been named already: what the parser says there is only its consequence.
  bool has_fault_on(std::uint32_t line) const { return fault_lines_.contains(line); }
  bool is_sound() const { return fault_lines_.empty(); }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (++documents_ > 1)
      stop(place(mark), "yaml-documents", "a file holds one YAML document, and here a second begins");
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const std::size_t head = read_head(mark);
    auto node = start(Kind::kNull, head, anchor);
    const std::string_view here = source_.at(head);
    // An absent value has no place of its own: the parser names that of the next token.
    const bool written =
        here.starts_with('~') || here.starts_with("null") || here.starts_with("Null") || here.starts_with("NULL");
    if (!written && !frames_.empty() && frames_.back().key) node->mark = frames_.back().key_mark;
    finish(node, {});
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end() || !found->second.node) {
      stop(place(mark), "yaml-alias", "an alias stands inside the value that it names", "write the value out instead");
    }
    const Size& size = found->second.size;
    count(size, place(mark));
    if (frames_.size() + size.depth > limits_.depth_max) too_deep(place(mark));
    finish(copy(*found->second.node), size);
  }

  void OnScalar(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor, const std::string& value) override {
    const std::size_t head = read_head(mark);
    auto node = start(Kind::kScalar, head, anchor);
    node->text = value;
    if (question_ != '\0') std::ranges::replace(node->text, question_, '?');
    const char first = source_.at(head).empty() ? '\0' : source_.at(head).front();
    node->text_mark = node->mark;
    if (first == '"' || first == '\'') {
      node->style = Style::kQuoted;
      ++node->text_mark.column;
    } else if (first == '|' || first == '>') {
      node->style = Style::kBlock;
      node->text_mark = block_start(head);
    } else if (!is_key_next()) {
      check_plain(*node);
    }
    const Size size{.bytes = node->text.size()};
    if (anchor != 0) anchors_[anchor].size = size;
    finish(node, size);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(start(Kind::kSequence, read_head(mark), anchor), anchor);
  }
  void OnSequenceEnd() override { close(); }

  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    const std::size_t head = read_head(mark);
    if (source_.at(head).starts_with("{{")) {
      open(start(Kind::kMap, head, anchor), anchor);
      set_bare(source_.at(head));
      return;
    }
    open(start(Kind::kMap, head, anchor), anchor);
  }
  void OnMapEnd() override { close(); }

 private:
  // Of a value with all that is in it, aliases written out.
  struct Size {
    std::size_t nodes = 1;
    std::size_t depth = 0;
    std::size_t bytes = 0;  // Of its texts.
  };
  struct Frame {
    std::shared_ptr<Node> node;
    YAML::anchor_t anchor = 0;
    Size size{.depth = 1};
    std::shared_ptr<const Node> key;  // Map: the key whose value comes next.
    Mark key_mark;
    std::map<std::string, Mark, std::less<>> keys;
    std::shared_ptr<Node> bare =
        nullptr;  // What stands for this map where it is a bare {{ … }}: the text that was meant.
  };
  struct Anchored {
    std::shared_ptr<const Node> node;  // Null while it is being read.
    Size size;
  };

  Mark place(const YAML::Mark& mark) const {
    return {static_cast<std::uint32_t>(std::max(mark.line, 0)) + 1,
            static_cast<std::uint32_t>(std::max(mark.column, 0)) + 1};
  }
  void fault(Mark mark, const char* code, std::string message, std::string suggestion = {}) {
    fault_lines_.insert(mark.line);
    diagnostics_.error(mark, code, std::move(message), std::move(suggestion));
  }
  [[noreturn]] void stop(Mark mark, const char* code, std::string message, std::string suggestion = {}) {
    fault(mark, code, std::move(message), std::move(suggestion));
    throw Stop{};
  }
  [[noreturn]] void too_deep(Mark mark) {
    stop(mark, "limit", fmt::format("values are nested deeper than {} here", limits_.depth_max));
  }
  void count(const Size& size, Mark mark) {
    nodes_ += size.nodes;
    if (nodes_ > limits_.nodes_max) {
      stop(mark, "limit", fmt::format("the file has more than {} values, aliases written out", limits_.nodes_max));
    }
    bytes_ += size.bytes;
    if (bytes_ > limits_.bytes_max) {
      stop(mark, "limit", fmt::format("aliases written out have more than {} bytes of text", limits_.bytes_max));
    }
  }

  // Steps over `&anchor` and refuses tags, which yaml-cpp takes without a word.
  // Returns the offset of the value itself.
  std::size_t read_head(const YAML::Mark& mark) {
    std::size_t at = static_cast<std::size_t>(std::max(mark.pos, 0));
    const auto skip_while = [&](auto wanted) {
      while (at < source_.size() && wanted(source_.at(at).front())) ++at;
    };
    const auto is_space = [](char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; };
    const auto is_property = [&](char c) {
      return !is_space(c) && std::string_view(",[]{}").find(c) == std::string_view::npos;
    };
    for (int properties = 0; properties < 2; ++properties) {
      const std::string_view here = source_.at(at);
      if (here.starts_with('!')) {
        fault(source_.mark(at), "yaml-tag", "a leading ! makes a YAML tag, and tags mean nothing here",
              "quote the text");
      } else if (!here.starts_with('&')) {
        break;
      }
      skip_while(is_property);
      skip_while(is_space);
      while (source_.at(at).starts_with('#')) {
        at = source_.next_line(at);
        skip_while(is_space);
      }
    }
    return at;
  }

  std::shared_ptr<Node> start(Kind kind, std::size_t head, YAML::anchor_t anchor) {
    auto node = std::make_shared<Node>();
    node->kind = kind;
    node->mark = source_.mark(std::min(head, source_.size()));
    if (anchor != 0 && kind != Kind::kSequence && kind != Kind::kMap) anchors_[anchor] = {node, {}};
    count({}, node->mark);
    return node;
  }

  void open(std::shared_ptr<Node> node, YAML::anchor_t anchor) {
    if (frames_.size() >= limits_.depth_max) too_deep(node->mark);
    if (anchor != 0) anchors_[anchor] = {};
    frames_.push_back({.node = std::move(node), .anchor = anchor, .key = nullptr, .key_mark = {}, .keys = {}});
  }

  void set_bare(std::string_view text) {
    Frame& frame = frames_.back();
    frame.bare = std::make_shared<Node>();
    frame.bare->kind = Kind::kScalar;
    frame.bare->style = Style::kQuoted;
    frame.bare->mark = frame.bare->text_mark = frame.node->mark;
    frame.bare->text = first_line(text).substr(0, first_line(text).find("}}") + 2);
    const bool nested = frames_.size() > 1 && frames_[frames_.size() - 2].bare;
    if (!nested) fault(frame.node->mark, "yaml-template", kBareTemplate, "write \"{{ … }}\"");
  }

  void close() {
    const Frame frame = std::move(frames_.back());
    frames_.pop_back();
    if (frame.bare) return finish(frame.bare, frame.size);
    if (frame.anchor != 0) anchors_[frame.anchor] = {frame.node, frame.size};
    finish(frame.node, frame.size);
  }

  bool is_key_next() const { return !frames_.empty() && frames_.back().node->is_map() && !frames_.back().key; }

  // Puts a value that is whole where it belongs.
  void finish(std::shared_ptr<const Node> node, const Size& size) {
    if (frames_.empty()) {
      root_ = std::move(node);
      return;
    }
    Frame& frame = frames_.back();
    frame.size.nodes += size.nodes;
    frame.size.depth = std::max(frame.size.depth, size.depth + 1);
    frame.size.bytes += size.bytes;
    if (frame.node->is_sequence()) {
      frame.node->items.push_back(std::move(node));
    } else if (!frame.key) {
      frame.key_mark = node->mark;
      frame.key = std::move(node);
    } else {
      add_member(frame, std::move(node));
      frame.key = nullptr;
    }
  }

  void add_member(Frame& frame, std::shared_ptr<const Node> value) {
    const Node& key = *frame.key;
    if (!key.is_scalar()) {
      // Inside a bare {{ … }} that has been said already.
      if (!frame.bare) fault(frame.key_mark, "yaml-key", "a key must be a text");
      return;
    }
    if (key.text == "<<" && key.style == Style::kPlain) {
      fault(frame.key_mark, "yaml-merge", "merge keys (<<) mean nothing here", "write the keys out");
      return;
    }
    const auto [first, added] = frame.keys.emplace(key.text, frame.key_mark);
    if (!added) {
      fault(frame.key_mark, "duplicate-key",
            fmt::format("the key \"{}\" stands twice in this map, first in line {}", key.text, first->second.line));
      return;
    }
    frame.node->members.push_back({key.text, frame.key_mark, std::move(value)});
  }

  void check_plain(const Node& node) {
    if (auto why = refuse_plain(node.text))
      fault(node.mark, "yaml-number", std::move(*why), "quote it where it is a text");
  }

  // The first line behind the header of a block scalar that has text gives the indentation of all.
  Mark block_start(std::size_t header) const {
    const std::size_t begin = source_.next_line(header);
    Mark mark = source_.mark(begin);
    for (std::size_t at = begin; at < source_.size(); at = source_.next_line(at)) {
      const std::string_view line = first_line(source_.at(at));
      const std::size_t indent = line.find_first_not_of(' ');
      if (indent == std::string_view::npos || line[indent] == '\r') continue;
      mark.column = static_cast<std::uint32_t>(indent) + 1;
      break;
    }
    return mark;
  }

  // A copy and not the node itself, since a map remembers which of its keys were used in this place.
  static std::shared_ptr<Node> copy(const Node& from) {
    auto node = std::make_shared<Node>(from);
    for (auto& item : node->items) item = copy(*item);
    for (auto& member : node->members) member.value = copy(*member.value);
    return node;
  }

  const Source& source_;
  const char question_;
  Diagnostics& diagnostics_;
  const Limits& limits_;
  NodePtr root_;
  std::vector<Frame> frames_;
  std::map<YAML::anchor_t, Anchored> anchors_;
  std::set<std::uint32_t> fault_lines_;
  std::size_t nodes_ = 0;
  std::size_t bytes_ = 0;  // Of aliases, written out.
  std::size_t documents_ = 0;
};

// What yaml-cpp says in its own words, with the way out where the line shows what was meant.
void report(const YAML::Exception& exception, const Source& source, const Builder& builder, Diagnostics& diagnostics) {
  const Mark mark{static_cast<std::uint32_t>(std::max(exception.mark.line, 0)) + 1,
                  static_cast<std::uint32_t>(std::max(exception.mark.column, 0)) + 1};
  if (builder.has_fault_on(mark.line)) return;
  const std::string_view line = source.line(mark.line);
  const std::size_t text = std::min(line.find_first_not_of(" \t"), line.size());
  std::string suggestion;
  if (line.substr(0, text).find('\t') != std::string_view::npos) {
    suggestion = "indent with spaces, not with tabs";
  } else if (line.find(": {{") != std::string_view::npos || line.substr(text).starts_with("- {{")) {
    diagnostics.error(mark, "yaml-template", kBareTemplate, "write \"{{ … }}\"");
    return;
  } else if (exception.msg == "illegal map value") {
    suggestion = "quote a text that holds \": \", or look for a missing line break or wrong indentation";
  } else if (exception.msg == "unknown token" || exception.msg == "the referenced anchor is not defined" ||
             exception.msg == "alias not found after *") {
    suggestion = "quote a text that begins with @ ` % * or &";
  }
  diagnostics.error(mark, "yaml", fmt::format("this is not YAML: {}", exception.msg), std::move(suggestion));
}

}  // namespace

Faulty read_faulty(std::string_view text, Diagnostics& diagnostics, const Limits& limits) {
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  if (text.size() > limits.bytes_max) {
    diagnostics.error({}, "limit",
                      fmt::format("the file has {} bytes; {} are the most it may have", text.size(), limits.bytes_max));
    return {};
  }
  const Source source(text);
  if (!check_bytes(text, source, diagnostics)) return {};
  const char question = unused_control(text);
  Builder builder(source, question, diagnostics, limits);
  try {
    std::istringstream stream(with_questions_hidden(text, question));
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder)) {
    }
  } catch (const Stop&) {
    return {};
  } catch (const YAML::Exception& exception) {
    report(exception, source, builder, diagnostics);
    return {};
  }
  return {builder.root() ? builder.root() : std::make_shared<const Node>(), builder.is_sound()};
}

NodePtr read(std::string_view text, Diagnostics& diagnostics, const Limits& limits) {
  const Faulty faulty = read_faulty(text, diagnostics, limits);
  return faulty.sound ? faulty.root : nullptr;
}

}  // namespace weft::yaml
