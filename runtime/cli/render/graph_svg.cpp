// A workflow's graph as SVG, laid out here so that nothing needs to be installed to see it.
//
// Steps stand in layers, each below the last one that it waits for; a group is a box around its own layers. Widths of
// texts are estimated, since a terminal program knows no fonts.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/bytes.h"
#include "runtime/cli/render/graph_view.h"

namespace weft::cli {
namespace {

using workflows::Step;
using workflows::StepId;
using workflows::Workflow;

constexpr double kLetter = 7.5;
constexpr double kLine = 18;
constexpr double kPadding = 12;
constexpr double kBetween = 24;        // Two steps of a layer.
constexpr double kBetweenLayers = 46;  // Room for an arrow and its label.
constexpr double kMargin = 16;
constexpr double kBow = 100;

struct Box {
  double x = 0;
  double y = 0;
  double width = 0;
  double height = 0;
};

std::string escaped(std::string_view text) {
  std::string result;
  for (const char c : printable(text)) {
    switch (c) {
      case '<': result += "&lt;"; break;
      case '>': result += "&gt;"; break;
      case '&': result += "&amp;"; break;
      case '"': result += "&quot;"; break;
      default: result += c;
    }
  }
  return result;
}

class Picture {
 public:
  Picture(const Workflow& workflow, const StatusOf& status_of)
      : workflow_(workflow), status_of_(status_of), edges_(edges_of(workflow)) {}

  std::string draw() {
    const Box whole = measure(workflow_.top());
    const double title = kLetter * static_cast<double>(workflow_.name.size());
    const double width = std::max({whole.width, title, 2 * kBow});
    place(workflow_.top(), kMargin + (width - whole.width) / 2, kMargin + kLine);
    std::string body = text(kMargin, kMargin, workflow_.name, "start", "bold");
    // Steps over arrows, so that an arrow past a layer does not cross a name.
    for (const GraphEdge& edge : edges_) body += arrow(edge);
    for (const Step& step : workflow_.steps) body += box(step);
    return fmt::format(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0:.0f}\" height=\"{1:.0f}\" viewBox=\"0 0 {0:.0f} "
        "{1:.0f}\" "
        "font-family=\"sans-serif\" font-size=\"13\">\n"
        "<defs><marker id=\"head\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"8\" markerHeight=\"8\" "
        "orient=\"auto\"><path d=\"M0 0L8 4L0 8z\" fill=\"#555\"/></marker></defs>\n"
        "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n{2}</svg>\n",
        width + 2 * kMargin, whole.height + 2 * kMargin + kLine, body);
  }

 private:
  // Steps in layers. What a step waits for stands in its own scope, in the file before it or behind it.
  std::vector<std::vector<StepId>> layers(const workflows::Scope& scope) const {
    std::map<StepId, std::size_t> layer_of;
    std::map<StepId, std::size_t> open;  // How many it waits for that have no layer yet.
    std::vector<StepId> ready;
    for (const StepId id : scope.steps) {
      open[id] = workflow_.step(id).waits_for.size();
      if (open[id] == 0) ready.push_back(id);
    }
    while (!ready.empty()) {
      const StepId above = ready.back();
      ready.pop_back();
      for (const StepId below : workflow_.step(above).dependants) {
        layer_of[below] = std::max(layer_of[below], layer_of[above] + 1);
        if (--open[below] == 0) ready.push_back(below);
      }
    }
    std::vector<std::vector<StepId>> layers;
    // What stands in `finally` comes below all else.
    std::size_t deepest = 0;
    for (const StepId id : scope.steps) {
      if (!workflow_.step(id).is_finally) deepest = std::max(deepest, layer_of[id] + 1);
    }
    for (const StepId id : scope.steps) {
      if (workflow_.step(id).is_finally) layer_of[id] = std::max(layer_of[id], deepest);
      const std::size_t layer = layer_of[id];
      if (layers.size() <= layer) layers.resize(layer + 1);
      layers[layer].push_back(id);
    }
    return layers;
  }

  Box measure(const workflows::Scope& scope) {
    Box whole;
    for (const auto& layer : layers(scope)) {
      Box row;
      for (const StepId id : layer) {
        const Box size = measure(workflow_.step(id));
        row.width += size.width + (row.width > 0 ? kBetween : 0);
        row.height = std::max(row.height, size.height);
      }
      whole.width = std::max(whole.width, row.width);
      whole.height += row.height + (whole.height > 0 ? kBetweenLayers : 0);
    }
    return whole;
  }

  Box measure(const Step& step) {
    Box& size = boxes_[step.id];
    const double label = static_cast<double>(std::max(shown_name(step).size(), note(step).size())) * kLetter;
    size.width = label + 2 * kPadding;
    size.height = 2 * kLine + kPadding;
    if (const auto* inner = inner_scope(workflow_, step)) {
      const Box held = measure(*inner);
      size.width = std::max(size.width, held.width + 2 * kPadding);
      size.height += held.height + kPadding;
    }
    return size;
  }

  void place(const workflows::Scope& scope, double x, double y) {
    const double width = measure(scope).width;
    for (const auto& layer : layers(scope)) {
      double row_width = -kBetween;
      double row_height = 0;
      for (const StepId id : layer) {
        row_width += boxes_[id].width + kBetween;
        row_height = std::max(row_height, boxes_[id].height);
      }
      double left = x + (width - row_width) / 2;
      for (const StepId id : layer) {
        Box& at = boxes_[id];
        at.x = left;
        at.y = y;
        left += at.width + kBetween;
        const auto* inner = inner_scope(workflow_, workflow_.step(id));
        if (inner != nullptr) place(*inner, at.x + kPadding, at.y + 2 * kLine + kPadding);
      }
      y += row_height + kBetweenLayers;
    }
  }

  static std::string note(const Step& step) {
    std::string note(kind_text(step.kind));
    if (const auto* tool = std::get_if<workflows::ToolBody>(&step.body)) note += " " + tool->tool;
    if (step.for_each) note += ", for each";
    if (step.repeat) note += ", repeats";
    return note;
  }

  static std::string text(double x, double y, std::string_view words, std::string_view anchor,
                          std::string_view weight = "normal", std::string_view colour = "#111") {
    return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\" font-weight=\"{}\" fill=\"{}\">{}</text>\n",
                       x, y, anchor, weight, colour, escaped(words));
  }

  std::string box(const Step& step) {
    const Box& at = boxes_[step.id];
    const auto status = status_of_(step_path(workflow_, step));
    const bool group = inner_scope(workflow_, step) != nullptr;
    const std::string_view fill = status ? colour_of(*status) : group ? "none" : "#f5f5f5";
    return fmt::format(
               "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" rx=\"{}\" fill=\"{}\"{} "
               "stroke=\"#777\"{}/>\n",
               at.x, at.y, at.width, at.height, step.kind == workflows::StepKind::kSwitch ? 18 : 4, fill,
               group ? " fill-opacity=\"0.4\"" : "", group ? " stroke-dasharray=\"4 3\"" : "") +
           text(at.x + at.width / 2, at.y + kLine, shown_name(step), "middle", "bold") +
           text(at.x + at.width / 2, at.y + 2 * kLine, note(step), "middle", "normal", "#666");
  }

  std::string arrow(const GraphEdge& edge) {
    const Box& from = boxes_[edge.from];
    const Box& to = boxes_[edge.to];
    const double x1 = from.x + from.width / 2;
    const double y1 = from.y + from.height;
    const double x2 = to.x + to.width / 2;
    const double bend = (to.y - y1) / 2;
    const double bow = bend > kBetweenLayers ? kBow : 0;  // Past a layer: seen beside what stands there.
    std::string line = fmt::format(
        "<path d=\"M{:.1f} {:.1f}C{:.1f} {:.1f} {:.1f} {:.1f} {:.1f} {:.1f}\" fill=\"none\" stroke=\"#555\" "
        "marker-end=\"url(#head)\"/>\n",
        x1, y1, x1 + bow, y1 + bend, x2 + bow, to.y - bend, x2, to.y);
    if (!edge.label.empty()) line += text((x1 + x2) / 2, y1 + bend, edge.label, "middle", "normal", "#a40");
    return line;
  }

  const Workflow& workflow_;
  const StatusOf& status_of_;
  const std::vector<GraphEdge> edges_;
  std::map<StepId, Box> boxes_;
};

}  // namespace

std::string graph_svg(const Workflow& workflow, const StatusOf& status_of) {
  return Picture(workflow, status_of).draw();
}

}  // namespace weft::cli
