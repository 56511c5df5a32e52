//! A part of a picture, wherever the picture comes from.

use super::rgb::{Area, RgbImage, frame_to_rgb};
use crate::model::Frame;

/// A picture to look at.
#[derive(Debug, Clone, Copy)]
pub enum Picture<'a> {
    /// Of a camera.
    Frame(&'a Frame),
    /// From a file.
    Rgb(&'a RgbImage),
}

impl Picture<'_> {
    /// Width and height, px.
    #[must_use]
    pub fn size(&self) -> (usize, usize) {
        match self {
            Self::Frame(frame) => (frame.width(), frame.height()),
            Self::Rgb(image) => (image.width, image.height),
        }
    }
}

/// A part of a picture to look at.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// The picture.
    pub picture: Picture<'a>,
    /// The part.
    pub area: Area,
}

impl<'a> View<'a> {
    /// All of a picture.
    #[must_use]
    pub fn whole(picture: Picture<'a>) -> Self {
        let (width, height) = picture.size();
        Self { picture, area: Area::whole(width, height) }
    }

    /// Its pixels, in `buffer` unless they are to be had without a copy, and the area that they are: of a frame it is widened
    /// to even pixels.
    #[must_use]
    pub fn rgb<'b>(&self, buffer: &'b mut RgbImage) -> (&'b RgbImage, Area)
    where
        'a: 'b,
    {
        match self.picture {
            Picture::Frame(frame) => {
                let area = frame_to_rgb(frame, self.area, buffer);
                (buffer, area)
            }
            Picture::Rgb(image) if self.area == Area::whole(image.width, image.height) => (image, self.area),
            Picture::Rgb(image) => {
                let area = self.area.within(image.width, image.height);
                buffer.width = area.width;
                buffer.height = area.height;
                buffer.data.clear();
                let rows = image.data.chunks_exact(image.width * 3).skip(area.y).take(area.height);
                rows.for_each(|row| buffer.data.extend(&row[area.x * 3..(area.x + area.width) * 3]));
                (buffer, area)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_an_rgb_picture_is_cut_out_and_the_whole_is_not_copied() {
        let image = RgbImage { width: 3, height: 2, data: (0..18).collect() };
        let mut buffer = RgbImage::default();
        let part = View { picture: Picture::Rgb(&image), area: Area { x: 1, y: 1, width: 9, height: 9 } };
        let (pixels, area) = part.rgb(&mut buffer);
        assert_eq!(pixels.data, [12, 13, 14, 15, 16, 17]);
        assert_eq!(area, Area { x: 1, y: 1, width: 2, height: 1 });
        let (pixels, _) = View::whole(Picture::Rgb(&image)).rgb(&mut buffer);
        assert!(std::ptr::eq(pixels, &raw const image));
    }
}
