"""The shape endpoint, an extension after OpenAI's Point-E and Shap-E: 3D shapes from pictures and prompts."""
