//! Boxes with captions on a picture, for people.

use std::convert::Infallible;

use embedded_graphics::mono_font::MonoTextStyle;
use embedded_graphics::mono_font::ascii::FONT_9X15_BOLD;
use embedded_graphics::pixelcolor::Rgb888;
use embedded_graphics::prelude::*;
use embedded_graphics::primitives::{PrimitiveStyle, Rectangle};
use embedded_graphics::text::{Baseline, Text};

use super::rgb::RgbImage;
use crate::model::Rect;

const COLOUR: Rgb888 = Rgb888::new(255, 196, 0);
const INK: Rgb888 = Rgb888::BLACK;

/// Draws each box with its caption above (or inside, at the upper edge of the picture).
pub fn draw_boxes<'a>(image: &mut RgbImage, boxes: impl IntoIterator<Item = (Rect, &'a str)>) {
    let (width, height) = (image.width as f32, image.height as f32);
    let line = (image.width.max(image.height) / 320).clamp(2, 8) as u32;
    let mut canvas = Canvas(image);
    for (rect, caption) in boxes {
        let rect = rect.clamped();
        let corner = Point::new((rect.x1 * width) as i32, (rect.y1 * height) as i32);
        let size = Size::new((rect.width() * width) as u32, (rect.height() * height) as u32);
        let frame = PrimitiveStyle::with_stroke(COLOUR, line);
        let Ok(()) = Rectangle::new(corner, size).into_styled(frame).draw(&mut canvas);
        if caption.is_empty() {
            continue;
        }
        let font = FONT_9X15_BOLD.character_size;
        let plate = Size::new(caption.chars().count() as u32 * font.width + 6, font.height + 2);
        let above = Point::new(corner.x, (corner.y - plate.height as i32).max(0));
        let Ok(()) =
            Rectangle::new(above, plate).into_styled(PrimitiveStyle::with_fill(COLOUR)).draw(&mut canvas);
        let style = MonoTextStyle::new(&FONT_9X15_BOLD, INK);
        let Ok(_) =
            Text::with_baseline(caption, above + Point::new(3, 1), style, Baseline::Top).draw(&mut canvas);
    }
}

struct Canvas<'a>(&'a mut RgbImage);

impl OriginDimensions for Canvas<'_> {
    fn size(&self) -> Size {
        Size::new(self.0.width as u32, self.0.height as u32)
    }
}

impl DrawTarget for Canvas<'_> {
    type Color = Rgb888;
    type Error = Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<Rgb888>>>(&mut self, pixels: I) -> Result<(), Infallible> {
        let bounds = self.bounding_box();
        for Pixel(point, colour) in pixels.into_iter().filter(|Pixel(point, _)| bounds.contains(*point)) {
            let at = (point.y as usize * self.0.width + point.x as usize) * 3;
            self.0.data[at..at + 3].copy_from_slice(&[colour.r(), colour.g(), colour.b()]);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_box_is_drawn_where_it_is_and_never_outside_the_picture() {
        let mut image = RgbImage { width: 100, height: 50, data: vec![0; 100 * 50 * 3] };
        draw_boxes(
            &mut image,
            [(Rect::new(0.2, 0.4, 0.6, 0.9), ""), (Rect::new(-1.0, -1.0, 3.0, 3.0), "person")],
        );
        let pixel = |x: usize, y: usize| &image.data[(y * 100 + x) * 3..][..3];
        assert_eq!(pixel(20, 30), [255, 196, 0]);
        assert_eq!(pixel(40, 32), [0, 0, 0]);
    }
}
