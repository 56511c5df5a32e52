//! What a network answers: named tensors, the batch first.

/// One output tensor: its name, shape (the batch first) and values.
#[derive(Debug, Clone, Copy)]
pub struct Tensor<'a> {
    /// Of the ONNX output.
    pub name: &'a str,
    /// Dimensions.
    pub shape: &'a [i64],
    /// All values, the last dimension running fastest.
    pub values: &'a [f32],
}

impl<'a> Tensor<'a> {
    /// The values of one picture of the batch.
    #[must_use]
    pub fn of_picture(&self, index: usize) -> &'a [f32] {
        let each = self.values.len() / self.size(0).max(1);
        &self.values[index * each..(index + 1) * each]
    }

    /// Size of a dimension; 0 if there is none.
    #[must_use]
    pub fn size(&self, dimension: usize) -> usize {
        self.shape.get(dimension).map_or(0, |&n| usize::try_from(n).unwrap_or(0))
    }

    /// Size of the last dimension.
    #[must_use]
    pub fn last(&self) -> usize {
        self.size(self.shape.len().saturating_sub(1))
    }
}
