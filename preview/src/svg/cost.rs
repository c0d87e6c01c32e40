//! What a drawing takes to draw, in steps and in memory, estimated from its shapes at the size that is wanted: how many edges cross how many lines of
//! pixels, how large filled areas, layers, patterns and filters are. What takes too much is refused before a pixel is drawn.
//!
//! An estimate is rather too high: it follows what `resvg` and `tiny-skia` do, and takes their worst case where that is not far from the usual.

use resvg::tiny_skia::{PathSegment, Point, Transform};
use resvg::usvg::{ClipPath, Group, Mask, Node, NonZeroRect, Paint, Path, Pattern, Stroke, Tree, filter};

use super::too_large;
use crate::PreviewError;

/// Steps, of about two nanoseconds: for any drawing, and for each pixel of it.
const STEPS_MIN: u64 = 250_000_000;
const STEPS_PER_PIXEL: u64 = 256;
/// Bytes: for any drawing, and for each pixel of it, which has four.
const BYTES_MIN: u64 = 24 << 20;
const BYTES_PER_PIXEL: u64 = 48;
/// The most dashes of a line; each is a line of its own.
const DASHES_MAX: f32 = 20_000.0;
/// The most steps of a filter.
const PRIMITIVES_MAX: usize = 32;

/// Steps for what is done with each pixel of a layer, a filter, and a filled area by what it is filled with.
const LAYER: u64 = 8;
const FILTER: u64 = 60;
const PLAIN: u64 = 1;
const GRADIENT: u64 = 12;
const TILED: u64 = 24;
/// Steps for each edge of a shape, for each of its lines of pixels, for each point of a line that is drawn with a pen.
const EDGE: u64 = 24;
const LINE: u64 = 2;
const PEN: u64 = 100;
/// A curve is drawn as so many edges, at most.
const EDGES_A_CURVE: u64 = 16;
/// Lines in a row of pixels: edges are smoothed by drawing finer.
const LINES_A_ROW: f32 = 4.0;

/// Refuses a drawing that takes too much.
pub(super) fn check(
    tree: &Tree,
    transform: Transform,
    (width, height): (u32, u32),
) -> Result<(), PreviewError> {
    let pixels = u64::from(width) * u64::from(height);
    let mut meter = Meter {
        steps: 0,
        steps_max: STEPS_MIN + pixels * STEPS_PER_PIXEL,
        bytes_max: BYTES_MIN + pixels * BYTES_PER_PIXEL,
    };
    let canvas = Canvas { width: length(width), height: length(height), bytes: pixels * 4 };
    meter.nodes(tree.root(), transform, canvas)
}

/// What is drawn on: its size in pixels, and what it takes with all that it is a layer of.
#[derive(Debug, Clone, Copy)]
struct Canvas {
    width: f32,
    height: f32,
    bytes: u64,
}

struct Meter {
    steps: u64,
    steps_max: u64,
    bytes_max: u64,
}

impl Meter {
    fn spend(&mut self, steps: u64) -> Result<(), PreviewError> {
        self.steps = self.steps.saturating_add(steps);
        if self.steps > self.steps_max {
            return Err(too_large("number of steps to draw it", self.steps, self.steps_max));
        }
        Ok(())
    }

    /// A canvas of this size beside what another one takes; `count` of them, at most, at a time.
    fn canvas(&self, (width, height): (f32, f32), beside: u64, count: u64) -> Result<Canvas, PreviewError> {
        let bytes = beside.saturating_add(whole(width * height * 4.0).saturating_mul(count));
        if bytes > self.bytes_max {
            return Err(too_large("memory to draw it in bytes", bytes, self.bytes_max));
        }
        Ok(Canvas { width, height, bytes })
    }

    fn nodes(&mut self, group: &Group, transform: Transform, canvas: Canvas) -> Result<(), PreviewError> {
        for node in group.children() {
            self.spend(EDGE)?;
            match node {
                Node::Group(group) => self.group(group, transform, canvas)?,
                Node::Path(path) => self.path(path, transform, canvas)?,
                // They are not read.
                Node::Image(_) | Node::Text(_) => {}
            }
        }
        Ok(())
    }

    fn group(&mut self, group: &Group, transform: Transform, canvas: Canvas) -> Result<(), PreviewError> {
        let transform = transform.pre_concat(group.transform());
        if !group.should_isolate() {
            return self.nodes(group, transform, canvas);
        }
        // Layers may stand out of the canvas, by twice its size on each side.
        let Some(area) = group.layer_bounding_box().transform(transform) else { return Ok(()) };
        let size =
            ((area.width() + 4.0).min(canvas.width * 5.0), (area.height() + 4.0).min(canvas.height * 5.0));
        let layer = self.canvas(size, canvas.bytes, 1)?;
        self.spend(pixels(layer) * LAYER)?;
        self.nodes(group, transform, layer)?;
        for filter in group.filters() {
            self.filter(filter, layer)?;
        }
        if let Some(clip) = group.clip_path() {
            self.clip(clip, transform, layer)?;
        }
        if let Some(mask) = group.mask() {
            self.mask(mask, transform, layer)?;
        }
        Ok(())
    }

    fn clip(&mut self, clip: &ClipPath, transform: Transform, layer: Canvas) -> Result<(), PreviewError> {
        let size = (layer.width, layer.height);
        let own = self.canvas(size, layer.bytes, 2)?;
        self.spend(pixels(own) * LAYER * 2)?;
        self.clipping(clip.root(), transform.pre_concat(clip.transform()), own)?;
        clip.clip_path().map_or(Ok(()), |clip| self.clip(clip, transform, own))
    }

    /// What is within a clip is drawn without layers, but for those that are clipped again.
    fn clipping(&mut self, group: &Group, transform: Transform, canvas: Canvas) -> Result<(), PreviewError> {
        for node in group.children() {
            self.spend(EDGE)?;
            match node {
                Node::Path(path) => self.path(path, transform, canvas)?,
                Node::Group(group) => {
                    let transform = transform.pre_concat(group.transform());
                    if let Some(clip) = group.clip_path() {
                        self.clip(clip, transform, canvas)?;
                    }
                    self.clipping(group, transform, canvas)?;
                }
                Node::Image(_) | Node::Text(_) => {}
            }
        }
        Ok(())
    }

    fn mask(&mut self, mask: &Mask, transform: Transform, layer: Canvas) -> Result<(), PreviewError> {
        let own = self.canvas((layer.width, layer.height), layer.bytes, 2)?;
        self.spend(pixels(own) * LAYER * 2)?;
        self.nodes(mask.root(), transform, own)?;
        mask.mask().map_or(Ok(()), |mask| self.mask(mask, transform, own))
    }

    /// Filters that take longer than their area says are refused.
    fn filter(&mut self, filter: &filter::Filter, layer: Canvas) -> Result<(), PreviewError> {
        use filter::Kind;
        let count = filter.primitives().len();
        if count > PRIMITIVES_MAX {
            let (actual, max) =
                (u64::try_from(count).unwrap_or(u64::MAX), u64::try_from(PRIMITIVES_MAX).unwrap_or(0));
            return Err(too_large("number of steps of a filter", actual, max));
        }
        let mut kept = 4;
        for primitive in filter.primitives() {
            let inputs = match primitive.kind() {
                Kind::Blend(_) | Kind::ColorMatrix(_) | Kind::ComponentTransfer(_) | Kind::Composite(_) => 2,
                Kind::DropShadow(_) | Kind::GaussianBlur(_) => 4,
                Kind::Flood(_) | Kind::Offset(_) => 1,
                Kind::Merge(merge) => u64::try_from(merge.inputs().len()).unwrap_or(u64::MAX),
                _ => return Err(PreviewError::Unsupported("SVG with a filter of a costly kind")),
            };
            // Results are kept until the last.
            kept += 1;
            self.spend(pixels(layer).saturating_mul(FILTER).saturating_mul(inputs))?;
        }
        self.canvas((layer.width, layer.height), layer.bytes, kept).map(drop)
    }

    fn path(&mut self, path: &Path, transform: Transform, canvas: Canvas) -> Result<(), PreviewError> {
        let shape = Shape::of(path, transform, canvas);
        if let Some(fill) = path.fill() {
            self.paint(fill.paint(), (transform, path.bounding_box().transform(transform)), canvas)?;
            self.edges(shape.edges, shape.lines, canvas)?;
        }
        if let Some(stroke) = path.stroke() {
            self.paint(stroke.paint(), (transform, path.stroke_bounding_box().transform(transform)), canvas)?;
            self.stroke(stroke, &shape, canvas)?;
        }
        Ok(())
    }

    /// A line that is drawn with a pen is a shape of its own: both of its sides, and what joins and ends them.
    fn stroke(&mut self, stroke: &Stroke, shape: &Shape, canvas: Canvas) -> Result<(), PreviewError> {
        let pen = (stroke.width().get() * shape.scale).min(canvas.height) * LINES_A_ROW + LINES_A_ROW;
        let (mut ends, mut edges) = (shape.edges.saturating_add(2), shape.edges.saturating_mul(2));
        if let Some(dashes) = stroke.dasharray() {
            let period: f32 = dashes.iter().sum();
            let count = shape.length / period.max(f32::MIN_POSITIVE)
                * length(u32::try_from(dashes.len()).unwrap_or(u32::MAX));
            if count.is_nan() || count > DASHES_MAX {
                return Err(too_large("number of dashes of a line", whole(count), whole(DASHES_MAX)));
            }
            ends = ends.saturating_add(whole(count));
            edges = edges.saturating_add(whole(count) * 2);
        }
        // Round joins and ends are curves.
        let edges = edges.saturating_add(ends.saturating_mul(8));
        self.spend(ends.saturating_mul(PEN))?;
        self.edges(edges, shape.lines * 2.0 + pen * float(ends) * 2.0, canvas)
    }

    /// Edges are kept in the order in which they lie on each line, and sorted anew where they cross.
    fn edges(&mut self, edges: u64, lines: f32, canvas: Canvas) -> Result<(), PreviewError> {
        let crossings =
            (float(edges) * float(edges) / 2.0).min(lines * lines / (canvas.height * LINES_A_ROW).max(1.0));
        self.spend(
            edges
                .saturating_mul(EDGE)
                .saturating_add(whole(lines * float(LINE)))
                .saturating_add(whole(crossings)),
        )
    }

    fn paint(
        &mut self,
        paint: &Paint,
        (transform, area): (Transform, Option<resvg::tiny_skia::Rect>),
        canvas: Canvas,
    ) -> Result<(), PreviewError> {
        let area = area.map_or(0.0, |area| area.width().min(canvas.width) * area.height().min(canvas.height));
        let each = match paint {
            Paint::Color(_) => PLAIN,
            Paint::LinearGradient(_) | Paint::RadialGradient(_) => GRADIENT,
            Paint::Pattern(pattern) => {
                self.pattern(pattern, transform, canvas)?;
                TILED
            }
        };
        self.spend(whole(area).saturating_mul(each))
    }

    /// A tile of a pattern is drawn for each shape that has it.
    fn pattern(
        &mut self,
        pattern: &Pattern,
        transform: Transform,
        canvas: Canvas,
    ) -> Result<(), PreviewError> {
        let (across, down) = transform.pre_concat(pattern.transform()).get_scale();
        let rect: NonZeroRect = pattern.rect();
        let size = ((rect.width() * across).round().max(1.0), (rect.height() * down).round().max(1.0));
        let tile = self.canvas(size, canvas.bytes, 1)?;
        self.spend(pixels(tile) * LAYER)?;
        self.nodes(pattern.root(), Transform::from_scale(across, down), tile)
    }
}

/// The outline of a path, as far as it lies within the canvas.
#[derive(Debug, Default)]
struct Shape {
    edges: u64,
    /// How many lines they cross, all together.
    lines: f32,
    /// How long it is, in its own measure.
    length: f32,
    /// Pixels in that measure.
    scale: f32,
}

impl Shape {
    fn of(path: &Path, transform: Transform, canvas: Canvas) -> Self {
        let (across, down) = transform.get_scale();
        let mut shape = Self { scale: across.max(down), ..Self::default() };
        let (mut start, mut last) = (Point::zero(), Point::zero());
        for segment in path.data().segments() {
            let points: &[Point] = match &segment {
                PathSegment::MoveTo(to) => {
                    (start, last) = (*to, *to);
                    continue;
                }
                PathSegment::LineTo(to) => &[*to],
                PathSegment::QuadTo(by, to) => &[*by, *to],
                PathSegment::CubicTo(by, and, to) => &[*by, *and, *to],
                PathSegment::Close => &[start],
            };
            shape.edges += if points.len() == 1 { 1 } else { EDGES_A_CURVE };
            for to in points {
                let row = |point: Point| {
                    let mut points = [point];
                    transform.map_points(&mut points);
                    points[0].y.clamp(0.0, canvas.height)
                };
                shape.lines += (row(*to) - row(last)).abs() * LINES_A_ROW + 1.0;
                shape.length += (to.x - last.x).hypot(to.y - last.y);
                last = *to;
            }
        }
        shape
    }
}

fn pixels(canvas: Canvas) -> u64 {
    whole(canvas.width * canvas.height)
}

fn length(pixels: u32) -> f32 {
    f32::from(u16::try_from(pixels).unwrap_or(u16::MAX))
}

#[expect(clippy::cast_precision_loss, reason = "these are estimates")]
fn float(count: u64) -> f32 {
    count as f32
}

/// What is no number counts as the most.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a float saturates")]
fn whole(count: f32) -> u64 {
    if count.is_nan() { u64::MAX } else { count as u64 }
}
